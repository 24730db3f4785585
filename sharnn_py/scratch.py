"""Temporary folders that are removed for certain: by their process, or, where that was killed, by the next one."""

from __future__ import annotations

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
_LIVING: set[str] = set()
"""Paths of folders whose processes lived when this one looked, its own among them: it does not look again."""


def new_folder(parent: Path, prefix: str) -> tuple[Path, Callable[[], None]]:
    """A new folder in `parent`, which only its user may enter, and what removes it. Raises `OSError`.

    Folders of that prefix whose processes were killed are removed first; those whose processes live are not looked at
    again by this one. A file system without locks, where nobody can know, keeps them all.
    """
    _remove_of_the_dead(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    _LIVING.add(str(folder))
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
    _LIVING.discard(str(folder))
    if lock is not None:
        os.close(lock)


def _remove_of_the_dead(parent: Path, prefix: str) -> None:
    if fcntl is None:
        return
    try:
        names = os.listdir(parent)
    except OSError:  # one may be made where none may be listed
        return
    for folder in (os.path.join(parent, name) for name in names if name.startswith(prefix)):
        if folder in _LIVING:
            continue
        try:
            lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR)
        except OSError:  # another user's, or one that is being made or removed
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its process lives, or nobody can know
            _LIVING.add(folder)
        finally:
            os.close(lock)
