"""How many bytes the arrays of an engine take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnxruntime import OrtValue


@dataclass(frozen=True)
class Held:
    """Bytes on the device that an engine computes on, by what they are for, as its arrays have them.

    What onnxruntime takes beside them is not in it: room for what a run computes, and what its arena keeps.
    """

    weights: int
    """Weights, once for each graph that is open and does not use them where their file lies."""
    seats: int
    """h, c and full rings of as many sequences as there are slots."""
    values: int
    """h, c and memories of the sequences that are not in a seat."""
    steps: int
    """What steps are given, and their logits."""


def nbytes(values: Iterable[OrtValue]) -> int:
    """Bytes of these, each counted once however often it is among them."""
    return sum({id(value): int(value.tensor_size_in_bytes()) for value in values}.values())
