"""One writer at a time: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sharnn_py.yarn.errors import IndexFolderError

try:
    import fcntl
except ImportError:  # not on Windows, where nothing keeps two writers apart
    fcntl = None  # type: ignore[assignment]


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Within, no other process writes to the index in `folder`. Raises `IndexFolderError` if one does, `OSError`."""
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise IndexFolderError(
                    f"{folder} is being written to by another process ({file.read().strip() or 'unknown'}); wait until "
                    "it has ended: what it has indexed is kept, and this command can then go on"
                ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
