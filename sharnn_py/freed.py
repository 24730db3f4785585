"""Returning freed memory to the operating system."""

import ctypes
import sys


def return_freed_memory() -> None:
    """Return freed memory to the operating system; glibc would keep much of it for later use. A no-op elsewhere."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)
