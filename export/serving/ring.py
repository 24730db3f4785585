"""The ring memory of steps: rows in slots that are overwritten in turn, and which slot is next.

No row moves while a sequence grows. A ring starts small and grows by doubling, so that a short memory does not pay for
reading the slots of a long one. Its full size is the most keys that a step ever attends to; only there does it wrap
around to slot 0, whose row the model has just forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from sharnn_py.config import Config
from sharnn_py.memory import most_keys_of_a_step

BUCKETS = (512, 1024, 2048)
"""Slots of a ring below its full size. Reading 512 rows of 1024 features was measured as a twentieth of a step."""

Rows = NDArray[np.floating]


def bucket(rows: int, most_keys: int, capacity: int) -> int:
    """Slots of the smallest ring that holds `rows` rows. Raises `ExportError` if `rows` exceeds `capacity`."""
    slots = next((size for size in BUCKETS if rows <= size), most_keys)
    slots = min(slots, most_keys)
    if rows > capacity:
        raise ExportError(
            f"the ring holds {capacity} rows and this step needs {rows}; the model attends to up to {most_keys}. "
            f"Export with --capacity {most_keys}, or reset the session"
        )
    return min(slots, capacity)


def slots_needed(config: Config, rows: int, capacity: int) -> int:
    """Slots of the smallest ring for a step after `rows` memory rows; `capacity` is that of the export.

    Raises `ExportError` if the step needs more than that.
    """
    most_keys = most_keys_of_a_step(config)
    # A ring of the full size needs no free slot: the next row overwrites the one that the model forgets.
    return bucket(min(rows + 1, most_keys), most_keys, capacity) if most_keys else 0


@dataclass
class Slots:
    """Which of a ring's slots hold rows. Slots fill in order, so the oldest row is at `next` once all are full."""

    capacity: int
    """How many slots there are."""
    held: int
    """How many slots hold a row."""
    next: int
    """The slot that is written next."""

    @classmethod
    def after(cls, rows: int, capacity: int) -> Slots:
        """The slots of a ring whose first `rows` slots were filled in order."""
        return cls(capacity, rows, rows % capacity)

    @classmethod
    def holding(cls, config: Config, rows: int, capacity: int, slot: int | None = None) -> Slots:
        """The slots of a ring that was filled with `rows` rows, so that `slot` comes next if any may.

        A ring of no slots is that of a model without attention.
        """
        if not capacity:
            return cls(0, 0, 0)
        slots = cls.after(rows, capacity)
        if slot is not None and slot < capacity == min(rows + 1, most_keys_of_a_step(config)):
            slots.next = slot  # a full ring may begin anywhere
        return slots

    def must_grow(self, config: Config) -> bool:
        """Whether the ring is full and the model attends to more."""
        return self.held == self.capacity < most_keys_of_a_step(config)

    def advance(self) -> None:
        """Count the slot `next` as written."""
        self.held = min(self.held + 1, self.capacity)
        self.next = (self.next + 1) % self.capacity

    def oldest_first(self) -> NDArray[np.int64]:
        """The slots that hold rows, oldest row first."""
        return np.arange(self.next - self.held, self.next) % self.capacity


def ring_of(memory: Rows, heads: int, capacity: int, slots: NDArray[np.int64] | None = None) -> Rows:
    """A ring (B * heads, capacity, H / heads) with the rows of `memory` (M, B, H) in `slots`, in order, else zeros.

    By default they are in its first M slots.
    """
    M, B, H = memory.shape
    ring = np.zeros((B * heads, capacity, H // heads), memory.dtype)
    ring[:, np.arange(M) if slots is None else slots] = memory.reshape(M, B * heads, H // heads).transpose(1, 0, 2)
    return ring


def memory_of(ring: Rows, slots: NDArray[np.int64], batch: int) -> Rows:
    """The rows in `slots` of a ring, in that order, (M, B, H)."""
    rows = ring[:, slots].transpose(1, 0, 2)  # (M, B * heads, d)
    return np.ascontiguousarray(rows).reshape(len(slots), batch, -1)
