"""Memory that a process shares with a child by a file descriptor: it has no name, so nothing can be left behind."""

import ctypes
import mmap
import os
import sys
import tempfile


class SharedMemory:
    """A stretch of memory that grows as needed and is freed when the last process that holds it ends.

    Whoever writes calls `reserve`; the reader's `reserve` with the size it was told maps what the writer made.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _anonymous() if descriptor is None else descriptor
        self._map: mmap.mmap | None = None

    def reserve(self, size: int) -> memoryview:
        """The memory, at least `size` bytes of it. Raises `OSError` where the machine has no more.

        A view of an earlier call must have been released: growing moves the memory.
        """
        if self._map is None or len(self._map) < size:
            if self._map is not None:
                self._map.close()
            self._map = None
            if (present := os.fstat(self.descriptor).st_size) < size:
                # Half as much again, so that a growing series of messages does not move the memory each time.
                present = -(-max(size, present * 3 // 2) // mmap.PAGESIZE) * mmap.PAGESIZE
                _grow(self.descriptor, present)
            self._map = mmap.mmap(self.descriptor, present)
        return memoryview(self._map)

    def address(self, size: int) -> int:
        """The memory's address in this process, with at least `size` bytes behind it; valid until the next call."""
        with self.reserve(size) as view:
            return ctypes.addressof(ctypes.c_char.from_buffer(view))

    def close(self) -> None:
        """Give it back. A second call does nothing."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _anonymous() -> int:
    if sys.platform == "linux":
        return os.memfd_create("sharnn")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _grow(descriptor: int, size: int) -> None:
    if sys.platform == "linux":
        # Unlike truncating, this takes the pages now: a machine without them says so here, and not by SIGBUS later.
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)
