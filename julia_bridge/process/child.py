"""The process that Julia runs in: `python -m julia_bridge.process.child CONTROL REQUEST ANSWER LIFE`.

All four are file descriptors. CONTROL is a socket to the parent: first the versions go up as one line of JSON; then
each 8-byte size that comes down is a message of that size in the memory REQUEST, and each that goes up is its answer
in ANSWER. The process ends when the parent closes CONTROL, and at once when the parent ends (LIFE, a pipe that the
parent holds open).
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys

from julia_bridge.process.runtime import Runtime
from julia_bridge.process.shared_memory import SharedMemory

SIZE = struct.Struct("=Q")


def die_with_parent(life: int) -> None:
    """Have the kernel end this process group when the other end of the pipe `life` closes, even amid a Julia call.

    Only Linux's kernel can; elsewhere the process ends after the call it is in.
    """
    if sys.platform == "linux":
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def keep_freed_memory() -> None:
    """Have glibc keep what Julia's collector frees: fetching pages anew costs more than copying an array into them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_max, 0)


def serve(control: socket.socket, request: SharedMemory, answer: SharedMemory) -> None:
    """Start Julia and answer requests until the parent closes `control`."""
    runtime = Runtime()
    control.sendall(json.dumps(runtime.versions).encode() + b"\n")
    while size := control.recv(SIZE.size, socket.MSG_WAITALL):
        answer_size = runtime.run(request.address(*SIZE.unpack(size)))
        runtime.write_answer(answer.address(answer_size))
        control.sendall(SIZE.pack(answer_size))


if __name__ == "__main__":
    control, request, answer, life = map(int, sys.argv[1:])
    die_with_parent(life)
    keep_freed_memory()
    serve(socket.socket(fileno=control), SharedMemory(request), SharedMemory(answer))
