"""A copy of an export's files that nobody else writes to, for as long as they are served.

Weights are read from their file's pages while a session runs, and a graph when it is first needed. Whoever writes over
these files, or exports to their folder again, would change the model under a session; and whoever truncates them would
kill its process. So a session has files of its own, which are those that were compared with the manifest's hashes. They
are in the folder of temporary files rather than in memory, so that they take no more of it than the export's would.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path

from export.errors import ExportError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = "sharnn-serving-"
_LOCK = "lock"


class PrivateCopy:
    """Copies of files of `folder`, without those that are not there. Removed when this object is, and at exit."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Raises `ExportError` if there is no room for them."""
        _remove_of_the_dead()
        self.original = folder
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # only its user may enter it
            weakref.finalize(self, _remove, self.folder, _locked(self.folder))
            for name in names:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, self.folder / name)
                    (self.folder / name).chmod(0o400)
        except OSError as error:
            raise ExportError(
                f"serving {folder} takes a copy of its files, so that nothing can change them meanwhile, and it cannot "
                f"be written ({error.strerror or error}); set TMPDIR to a folder of a disk with room for them"
            ) from error

    def told_as_original(self, sentence: str) -> str:
        """`sentence` with the original's path in place of the copy's."""
        return sentence.replace(str(self.folder), str(self.original))


def _locked(folder: Path) -> int | None:
    """A descriptor of the lock in `folder`, held until this process ends, however it does."""
    if fcntl is None:
        return None
    unlocked = folder / f"{_LOCK}.new"
    lock = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    unlocked.rename(folder / _LOCK)  # so that nobody sees it unlocked while this process lives
    return lock


def _remove(folder: Path, lock: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _remove_of_the_dead() -> None:
    """Remove the copies of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if fcntl is None:
            return
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:  # another user's, or one that is being made or removed
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its process lives
            pass
        finally:
            os.close(lock)
