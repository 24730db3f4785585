"""Comparing one recorded tensor with the truth and with what rounding does to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from parity.tolerance import UNIT, allowed


@dataclass(frozen=True)
class Worst:
    """The element furthest from the truth."""

    index: tuple[int, ...]
    recorded: Any
    port: Any
    truth: Any


@dataclass(frozen=True)
class Comparison:
    """One recorded tensor against the port. True in a boolean context if they agree."""

    name: str
    """The recorded tensor's name."""
    run: str
    """Which replay: '' or, for a second comparison of the same tensor, what was different about it."""
    where: str
    """Segment and layer in words."""
    exact: bool
    """Whether equality was asked for, as of integers and parameters."""
    agrees: bool
    shape: tuple[int, ...]
    problem: str = ""
    """What is wrong beyond a distance: another shape, infinities elsewhere."""
    error: float = 0.0
    """max |recorded - truth|; for exact comparisons the number of unequal elements."""
    rounding: float = 0.0
    """max |float32 runs - truth|."""
    scale: float = 0.0
    """max |truth| over finite elements."""
    tolerance: float = 0.0
    """What `error` was held against."""
    worst: Worst | None = None

    def __bool__(self) -> bool:
        return self.agrees

    @property
    def ratio(self) -> float:
        """error / tolerance: above 1 is a divergence. Infinite where no distance could be measured."""
        if self.problem:
            return math.inf
        if self.error == 0:
            return 0.0
        return self.error / self.tolerance if self.tolerance else math.inf


def compare_exact(name: str, recorded: Tensor, port: Tensor, *, run: str = "", where: str = "") -> Comparison:
    """Equality of every element, and of the shape."""
    shape = tuple(recorded.shape)
    if shape != tuple(port.shape):
        return Comparison(name, run, where, True, False, shape, _shapes(recorded, port))
    unequal = recorded.to(torch.float64) != port.to(torch.float64)
    count = int(unequal.sum())
    worst = None
    if count:
        index = tuple(int(i) for i in unequal.nonzero()[0])
        worst = Worst(index, recorded[index].item(), port[index].item(), port[index].item())
    return Comparison(name, run, where, True, not count, shape, error=float(count), worst=worst)


def compare_rounded(
    name: str,
    recorded: Tensor,
    truth: Tensor,
    runs: Sequence[Tensor],
    *,
    run: str = "",
    where: str = "",
    unit: float = UNIT[torch.float32],
) -> Comparison:
    """Agreement within float32 rounding, by `parity.tolerance`.

    `truth` is the float64 port's, `runs` the float32 port's, the plain run first. Infinities must stand at the same
    places; a NaN on either side never agrees.
    """
    shape = tuple(recorded.shape)
    if shape != tuple(truth.shape):
        return Comparison(name, run, where, False, False, shape, _shapes(recorded, truth))
    if not recorded.numel():
        return Comparison(name, run, where, False, True, shape)
    recorded, truth = recorded.to(torch.float64), truth.to(torch.float64)
    finite = recorded.isfinite() & truth.isfinite()
    strange = ~finite & (recorded != truth)
    if strange.any():
        index = tuple(int(i) for i in strange.nonzero()[0])
        worst = Worst(index, recorded[index].item(), runs[0][index].item(), truth[index].item())
        problem = f"{int(strange.sum())} of {recorded.numel()} elements are infinite or NaN on one side only"
        return Comparison(name, run, where, False, False, shape, problem, worst=worst)

    distance = torch.where(finite, recorded - truth, 0.0).abs()
    rounding = max(float(torch.where(finite, r.to(torch.float64) - truth, 0.0).abs().max()) for r in runs)
    scale = float(torch.where(finite, truth, 0.0).abs().max())
    error, tolerance = float(distance.max()), allowed(rounding, scale, unit)
    index = tuple(int(i) for i in torch.unravel_index(distance.argmax(), distance.shape))
    worst = Worst(index, recorded[index].item(), runs[0][index].item(), truth[index].item())
    agrees = error <= tolerance  # false for a NaN
    return Comparison(name, run, where, False, agrees, shape, "", error, rounding, scale, tolerance, worst)


def _shapes(recorded: Tensor, port: Tensor) -> str:
    return f"recorded with shape {tuple(recorded.shape)}, the port has {tuple(port.shape)}"
