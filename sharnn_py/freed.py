"""Memory that was freed, given back to the system."""

import ctypes
import sys


def return_freed_memory() -> None:
    """Do so: after large blocks were freed once, glibc keeps the next ones for this process."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)
