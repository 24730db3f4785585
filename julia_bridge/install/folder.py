"""The one folder that everything fetched or built for Julia lives in."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder(program: str = "julia") -> Path:
    """`$SHARNN_JULIA_DIR`, or `sharnn/julia` in the user's cache folder. It need not exist yet.

    Another `program` has a folder and a variable of its own, named in the same way.
    """
    if given := os.environ.get(f"SHARNN_{program.upper()}_DIR"):
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "sharnn" / program


@contextmanager
def locked(program: str = "julia") -> Iterator[Path]:
    """The folder, created if need be; other installers wait until the block, or the process it is in, ends."""
    root = folder(program)
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root
