"""Writing files atomically: whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def beside(path: str | Path) -> Iterator[BinaryIO]:
    """A new file to write to, renamed to `path` at the end: readers see the old file or the new one, never half a file.

    Raises `OSError` (no space, no permission). After any exception `path` is as it was before.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
