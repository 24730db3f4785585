"""The `segment` graph's mask, of a segment or a part of it, and when a segment may be computed in parts.

The mask leaves out the memory rows that row 4 of docs/semantics.md drops. These are as many as the whole segment is too
long by, and the scale of attention under `julia` is of its length too: a segment that is cut is another computation.
Computed in parts, with the mask and the scale of the whole, it is the same one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharnn_py.config import Config
from sharnn_py.memory import rows_dropped


@dataclass(frozen=True)
class Segment:
    """A segment of T = `steps` steps on M = `rows` memory rows of every block that attends."""

    config: Config
    rows: int
    steps: int

    @property
    def dropped(self) -> int:
        """How many of the M rows no step attends to."""
        attending = self.config.attention_layers or ()
        held = [self.rows if self.config.attends(i) else 0 for i in range(self.config.layers)]
        return min(self.rows, max(rows_dropped(self.config, held, self.steps, i) for i in attending))

    @property
    def divisible(self) -> bool:
        """Whether it may be computed in parts: the memory between any two holds every row that is attended to."""
        if not self.config.attention_layers:
            return True
        return self.dropped >= self.rows + self.steps - 1 - self.config.max_memory

    def held(self, at: int) -> int:
        """How many memory rows there are before step `at`."""
        return min(self.config.max_memory, self.rows + at) if at else self.rows

    def mask(self, at: int = 0, steps: int | None = None) -> NDArray[np.float32]:
        """Additive mask (t, m + t), 0 and -inf, of its t = `steps` steps from step `at` on; by default of all of them.

        m is `held(at)`, which is M at the beginning.
        """
        steps = self.steps if steps is None else steps
        now = self.rows + at  # rows and steps so far
        keys, own = np.arange(now - self.held(at), now + steps), np.arange(now, now + steps)[:, None]
        return np.where((keys >= self.dropped) & (keys <= own), 0, -np.inf).astype(np.float32)

    @property
    def attention_scale(self) -> float:
        """What `julia` multiplies scores by, 1 / sqrt(T)."""
        return 1 / math.sqrt(self.steps)
