"""Where reports are printed."""

import sys
from typing import TextIO

from rich.console import Console

from sharnn_py.broken_pipe import into_nothing

WIDTH_WITHOUT_TERMINAL = 160


class PatientConsole(Console):
    """A console whose reader may leave, as `head` does: what it does not read is not missed."""

    def on_broken_pipe(self) -> None:
        """Print into nothing from here on, so that what the command does besides printing is still done."""
        self.quiet = True
        into_nothing(self.file)  # type: ignore[arg-type]


def console(stream: TextIO | None = None) -> Console:
    """A console on `stream`, stdout if none is given: as wide as the terminal, or of a fixed width for a file."""
    stream = stream or sys.stdout
    return PatientConsole(file=stream, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
