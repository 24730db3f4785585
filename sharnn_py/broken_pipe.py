"""What becomes of a stream whose reader has left, as `head` does when it has enough."""

import os
from typing import TextIO


def into_nothing(stream: TextIO) -> None:
    """Write into nothing from here on, so that neither the rest of the command nor the interpreter's end fails."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def flush(stream: TextIO | None) -> None:
    """Flush a stream, or nothing where there is none; if its reader has left, write into nothing from here on."""
    try:
        if stream is not None:
            stream.flush()
    except BrokenPipeError:
        assert stream is not None
        into_nothing(stream)
