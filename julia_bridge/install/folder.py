"""The one folder that everything fetched or built for Julia lives in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """`$SHARNN_JULIA_DIR`, or `sharnn/julia` in the user's cache folder. It need not exist yet."""
    if given := os.environ.get("SHARNN_JULIA_DIR"):
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "sharnn" / "julia"


@contextmanager
def locked() -> Iterator[Path]:
    """The folder, made if need be, with every other installer kept out until the block ends or its process does."""
    root = folder()
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root
