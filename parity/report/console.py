"""Where reports are printed."""

import sys
from typing import TextIO

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160


def console(stream: TextIO | None = None) -> Console:
    """A console on `stream`, stdout if none is given: as wide as the terminal, or of a fixed width for a file."""
    stream = stream or sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
