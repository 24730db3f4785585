"""Temporary folders that are removed for certain: by their process, or, where that was killed, by the next one."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_LOCK = "lock"


def new_folder(parent: Path, prefix: str) -> tuple[Path, Callable[[], None]]:
    """A new folder in `parent`, which only its user may enter, and what removes it. Raises `OSError`.

    Folders of that prefix whose processes were killed are removed first. A file system without locks, where nobody can
    know that, keeps them.
    """
    _remove_of_the_dead(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    return folder, partial(_remove, folder, _locked(folder))


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder of `new_folder`, removed at the end. Raises `OSError`."""
    folder, remove = new_folder(parent, prefix)
    try:
        yield folder
    finally:
        remove()


def _locked(folder: Path) -> int | None:
    """A descriptor of the lock in `folder`, held until this process ends, however it does."""
    if fcntl is None:
        return None
    unlocked = folder / f"{_LOCK}.new"
    lock = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
    with suppress(OSError):  # of a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX)
    unlocked.rename(folder / _LOCK)  # so that nobody sees it unlocked while this process lives
    return lock


def _remove(folder: Path, lock: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _remove_of_the_dead(parent: Path, prefix: str) -> None:
    if fcntl is None:
        return
    for folder in parent.glob(f"{glob.escape(prefix)}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:  # another user's, or one that is being made or removed
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its process lives, or nobody can know
            pass
        finally:
            os.close(lock)
