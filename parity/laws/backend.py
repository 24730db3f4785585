"""What the laws ask of a back end: sequences that are fed, read, forked, reordered, saved and loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Layers = list[tuple[Any, ...]]
"""A state: the arrays of every layer, in the order of `Backend.parts`. SHA-RNN's are h (B, H), c (B, H) and memory
(M, B, H), oldest row first, which has no rows in a block that does not attend."""


class Backend(ABC):
    """B sequences of one model on one program. Implement this to test a back end or a model of your own by the laws.

    It begins with one sequence to which nothing was fed. A back end for SHA-RNN is made from a `Spec`: its config, and
    its parameters (float32, under the names of `SHARNN.state_dict`).
    """

    parts: ClassVar[Mapping[str, int]] = {"h": 0, "c": 0, "memory": 1}
    """The arrays of a layer's state, each with its batch axis. One named `memory` has a row for each step on axis 0,
    oldest first."""
    dtype: Any = np.float32
    """What it computes in, `np.float32` or `np.float64`; this decides how much rounding is allowed."""
    steps_only: bool = False
    """Whether it feeds every segment step by step, as segments of one."""
    repeats: bool = True
    """Whether the same feed gives the same numbers, bit for bit, whatever else it computes."""

    @abstractmethod
    def start(self, batch: int) -> None:
        """Drop all sequences, and begin with `batch` new ones."""

    @abstractmethod
    def feed(self, tokens: NDArray[np.int64]) -> Array:
        """Feed one segment of ids (T, B); return its logits (T, B, V), in `dtype`."""

    @abstractmethod
    def read(self) -> Layers:
        """The state, as arrays of the caller's own: reading it changes nothing, and feeding does not change them."""

    @abstractmethod
    def write(self, layers: Layers) -> None:
        """Continue from this state, with its number of sequences."""

    @abstractmethod
    def fork(self) -> Backend:
        """An independent back end for the same model that continues from the same state."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Save the state to a file. To switch between back ends by a file, all of them need one format; SHA-RNN's is
        that of `sharnn_py.state_file`."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Continue from a saved state."""

    def reorder(self, rows: Sequence[int]) -> None:
        """Continue with these sequences, in this order; some may be left out, some taken twice."""
        self.write(self.pick(self.read(), rows))

    def pick(self, layers: Layers, rows: Sequence[int]) -> Layers:
        """The state of these sequences alone, in this order."""
        axes = self.parts.values()
        return [tuple(a.take(list(rows), axis) for a, axis in zip(layer, axes, strict=True)) for layer in layers]
