"""What the laws ask of a back end: sequences that are fed, read, forked, reordered, saved and loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharnn_py.config import Config

Array = NDArray[Any]
Layers = list[tuple[Array, Array, Array]]
"""h (B, H), c (B, H) and memory (M, B, H), oldest row first, of every block; no rows where it does not attend."""


class Backend(ABC):
    """B sequences of one model on one program. Implement this to hold a model of your own to the laws.

    A back end is made for a config and its parameters (`SHARNN.state_dict` names, float32) and begins with one
    sequence to which nothing was fed.
    """

    config: Config
    dtype: Any = np.float32
    """What it computes in, float32 or float64: by it the laws know how far rounding may take it."""
    steps_only: bool = False
    """Whether it feeds every segment step by step, as segments of one."""

    @abstractmethod
    def start(self, batch: int) -> None:
        """Forget everything, and go on with `batch` sequences."""

    @abstractmethod
    def feed(self, tokens: NDArray[np.int64]) -> Array:
        """One segment, ids (T, B); logits (T, B, V)."""

    @abstractmethod
    def read(self) -> Layers:
        """The state. Reading it changes nothing, and nothing that is fed later changes what was read."""

    @abstractmethod
    def write(self, layers: Layers) -> None:
        """Go on from this state; B becomes its own."""

    @abstractmethod
    def fork(self) -> Backend:
        """Another one that goes on from the same state."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Keep the state in a file (`sharnn_py.state_file`)."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Go on from a saved state, of this back end or any other."""

    def reorder(self, rows: Sequence[int]) -> None:
        """Go on with these sequences, in this order; some may be left out, some taken twice."""
        index = list(rows)
        self.write([(h[index], c[index], memory[:, index]) for h, c, memory in self.read()])
