"""The memory of generation: rows in slots that are written over in turn, and which slot comes next.

No rows move while a sequence grows. A ring starts small and doubles, so that a short memory does not pay for reading
the slots of a long one; only at its full size, the most keys a step ever attends to, does it start over at slot 0,
over the row that the model has just forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError

BUCKETS = (512, 1024, 2048)
"""Sizes below the full one. Measured: reading 512 rows of 1024 features is a twentieth of a step's time."""

Rows = NDArray[np.floating]


def bucket(rows: int, most_keys: int, capacity: int) -> int:
    """Slots of the smallest ring for `rows` rows. Raises `ExportError` if that is more than `capacity`."""
    slots = next((size for size in BUCKETS if rows <= size), most_keys)
    slots = min(slots, most_keys)
    if rows > capacity:
        raise ExportError(
            f"the ring holds {capacity} rows and this step needs {rows}; the model attends to up to {most_keys}. "
            f"Export with --capacity {most_keys}, or reset the session"
        )
    return min(slots, capacity)


@dataclass
class Slots:
    """Which of a ring's slots hold rows. Slots fill in order, so the oldest row is at `next` once all are full."""

    capacity: int
    held: int
    """Slots that hold a row."""
    next: int
    """The slot to write."""

    @classmethod
    def after(cls, rows: int, capacity: int) -> Slots:
        """For rows 0, 1, ... just put into slots 0, 1, ..."""
        return cls(capacity, rows, rows % capacity)

    def advance(self) -> None:
        """The next slot was written."""
        self.held = min(self.held + 1, self.capacity)
        self.next = (self.next + 1) % self.capacity

    def oldest_first(self) -> NDArray[np.int64]:
        """The slots that hold rows, in order of age."""
        return np.arange(self.next - self.held, self.next) % self.capacity


def ring_of(memory: Rows, heads: int, capacity: int) -> Rows:
    """(M, B, H) rows in the first M slots of a ring, (B * heads, capacity, H / heads); the other slots 0."""
    M, B, H = memory.shape
    ring = np.zeros((B * heads, capacity, H // heads), memory.dtype)
    ring[:, :M] = memory.reshape(M, B * heads, H // heads).transpose(1, 0, 2)
    return ring


def memory_of(ring: Rows, slots: NDArray[np.int64], batch: int) -> Rows:
    """The rows in `slots` of a ring, in that order, (M, B, H)."""
    rows = ring[:, slots].transpose(1, 0, 2)  # (M, B * heads, d)
    return np.ascontiguousarray(rows).reshape(len(slots), batch, -1)
