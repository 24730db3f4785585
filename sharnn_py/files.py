"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def beside(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to, renamed to `path` at the end: a reader sees the old file or the new one, never half of one.

    Raises `OSError` (no space, no permission) with `path` left as it was, as does whatever is raised meanwhile.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` by way of `beside`. A device or a pipe is written in place."""
    path = Path(path)
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    with beside(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """`write_bytes` for text, in UTF-8."""
    write_bytes(path, text.encode())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
