"""What a run shows while it works: a line that moves on a terminal, and lines that stay."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sharnn_py.trainer.journal import Row

EVERY = 30.0
"""Seconds between lines where there is no terminal to move a line on."""


class Display:
    """Where a run speaks. `quiet` ranks, all but the first, say nothing."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._said = -math.inf

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within, a terminal has the line that moves."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        columns = (BarColumn(10), TextColumn("{task.percentage:3.0f}%"), TextColumn("{task.description}"))
        with Progress(*columns, console=self._console, transient=True) as self._bar:
            self._task = self._bar.add_task("begins", total=1.0)
            yield
        self._bar = None

    def say(self, text: str) -> None:
        """Print what stays."""
        if not self._quiet:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, row: Row, share: float, left: float, best: float | None) -> None:
        """Show where the run is: `share` of it is done, and `left` seconds are."""
        best_bits = "" if best is None else f", held-out best {best:.4f}"
        if self._bar is not None:  # fits 80 columns
            told = (
                f"{row.bytes_per_second / 1e3:.1f} kB/s, training {row.train_bits:.3f}{best_bits}, {_clock(left)} left"
            )
            self._bar.update(self._task, completed=share, description=told)
        elif row.valid_bits is None and time.monotonic() >= self._said + EVERY:
            self._said = time.monotonic()
            self.say(
                f"{100 * share:3.0f}%  update {row.update:,}, {row.bytes / 1e6:.1f} MB read, "
                f"{row.bytes_per_second / 1e3:.1f} kB/s, training {row.train_bits:.3f} bits per byte{best_bits}, "
                f"{_clock(left)} left"
            )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
