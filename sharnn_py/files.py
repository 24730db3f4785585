"""Writing files atomically: whole, or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_RANDOM = "[0-9a-f]" * 16


@contextmanager
def beside(path: str | Path) -> Iterator[BinaryIO]:
    """A new file to write to, renamed to `path` at the end: readers see the old file or the new one, never half a file.

    Raises `OSError` (no space, no permission), which names `path`. After any exception `path` is as it was before. What
    writers to `path` that were killed have left is removed.
    """
    path = Path(path)
    try:
        temporary, file = _created(path)
    except OSError as error:
        raise _about(path, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows does not rename what is open; elsewhere it stays locked until it is renamed
            os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename) in ("None", str(temporary)):
            raise _about(path, error) from error
        raise


def _created(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, locked while its writer lives."""
    _remove_of_the_dead(path)
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        file = temporary.open("xb")
        if fcntl is None:
            return temporary, file
        with contextlib.suppress(OSError):  # of a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        # Another writer may have taken it for a dead one's before it was locked.
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()


def _remove_of_the_dead(path: Path) -> None:
    """Remove temporary files of `path` whose writers were killed: those that nobody has locked."""
    if fcntl is None:
        return
    for left in path.parent.glob(f".{glob.escape(path.name)}.{_RANDOM}"):
        with contextlib.suppress(OSError), left.open("rb") as file:  # its writer lives, or it is another user's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _about(path: Path, error: OSError) -> OSError:
    """`error`, which happened to a temporary file, as one of `path`."""
    return OSError(error.errno, error.strerror, str(path))


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically; to a device or a pipe, in place. Raises `OSError`."""
    path = Path(path)
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    with beside(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode())
