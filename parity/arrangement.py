"""Whether two tensors are the same numbers in another arrangement: axes permuted, axes of size one more or fewer."""

from itertools import permutations

import torch
from torch import Tensor

MOST_AXES = 5
"""Axes of a tensor whose permutations are tried."""


def permutation_to(recorded: Tensor, ours: Tensor, tolerance: float) -> tuple[int, ...] | None:
    """The axes' order in which `recorded.permute(order)` is `ours`, but for `tolerance`; None if there is none."""
    if recorded.ndim != ours.ndim or not _may_be_equal(recorded, ours, tolerance):
        return None
    recorded, ours = recorded.to(torch.float64), ours.to(torch.float64)
    for order in permutations(range(recorded.ndim)):
        moved = recorded.permute(order)
        if moved.shape == ours.shape and bool(((moved - ours).abs() <= tolerance).all()):
            return order
    return None


def rearranged(recorded: Tensor, ours: Tensor, tolerance: float) -> str:
    """How `recorded` has to be rearranged to be `ours`, in words: "equal after permuting axes (0, 2, 1)"; "" if not so.

    The order is that of `recorded.permute(order)`.
    """
    order = permutation_to(recorded, ours, tolerance)
    if order is not None:
        return "" if order == tuple(range(len(order))) else f"equal after permuting axes {order}"
    order = permutation_to(recorded.squeeze(), ours.squeeze(), tolerance)
    if order is None:
        return ""
    ones = [tuple(axis for axis, size in enumerate(x.shape) if size == 1) for x in (recorded, ours)]
    steps = [f"dropping axes {ones[0]} of size one"] if ones[0] else []
    steps += [f"permuting axes {order}"] if order != tuple(range(len(order))) else []
    steps += [f"adding axes {ones[1]} of size one"] if ones[1] else []
    return f"equal after {' and '.join(steps)}"


def _may_be_equal(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """What no permutation changes: the sizes, the largest number and the sum."""
    if not a.numel() or a.ndim > MOST_AXES or sorted(a.shape) != sorted(b.shape):
        return False
    a, b = a.to(torch.float64), b.to(torch.float64)
    return abs(float(a.max() - b.max())) <= tolerance and abs(float(a.sum() - b.sum())) <= tolerance * a.numel()
