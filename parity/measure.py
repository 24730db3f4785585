"""Measuring one recorded tensor against the truth and against what rounding does to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.arrangement import rearranged
from parity.tolerance import FEW, MULTIPLE, UNIT, allowed, units


@dataclass(frozen=True)
class Worst:
    """The element furthest from the truth."""

    index: tuple[int, ...]
    recorded: Any
    port: Any
    truth: Any


@dataclass(frozen=True)
class Measure:
    """How far one recorded tensor is from what the subject computes."""

    agrees: bool
    problem: str = ""
    """What is wrong beyond a distance: another shape, infinities elsewhere."""
    error: float = 0.0
    """max |recorded - truth|; for exact comparisons the number of unequal elements."""
    rounding: float = 0.0
    """max |float32 runs - truth|."""
    scale: float = 0.0
    """max |truth| over finite elements."""
    tolerance: float = 0.0
    """What `error` may be."""
    worst: Worst | None = None
    steps: tuple[float, ...] = ()
    """Of a tensor with a time axis: the largest error at each step, in units of rounding."""
    imprecision: float = 0.0
    """max |the subject in float32 - truth|, which may be as much as `error`."""
    fits: str = ""
    """How the recorded tensor is to be rearranged to agree, if there is a way: "equal after permuting axes (1, 0)"."""
    unsound: bool = False
    """Whether the problem is the subject's alone: its runs differ, or its tolerance is too large to tell anything."""

    def held_to(self, tolerance: float) -> Measure:
        """This measure with another tolerance."""
        if self.problem:
            return self
        return replace(self, agrees=max(self.error, self.imprecision) <= tolerance, tolerance=tolerance)

    def with_rounding(self, other: Measure) -> Measure:
        """This measure with the other's rounding and tolerance, if those are larger."""
        if other.problem or other.tolerance <= self.tolerance:
            return self
        return replace(self.held_to(other.tolerance), rounding=other.rounding)

    @property
    def ratio(self) -> float:
        """The larger of error and imprecision, over the tolerance: above 1 is a divergence. Infinite where no distance
        could be measured."""
        return self.units / MULTIPLE

    @property
    def units(self) -> float:
        """The same in units of what rounding explains; the tolerance is `MULTIPLE` of them."""
        return math.inf if self.problem else units(max(self.error, self.imprecision), self.tolerance)

    @property
    def first_bad_step(self) -> int | None:
        """The first step, from 0, whose error is above the tolerance; None without a time axis or such a step."""
        return next((step for step, units in enumerate(self.steps) if units > MULTIPLE), None)


def measure_exact(recorded: Tensor, port: Tensor) -> Measure:
    """Equality of every element, and of the shape."""
    if tuple(recorded.shape) != tuple(port.shape):
        return _of_shapes(recorded, port, 0.0)
    unequal = recorded.to(torch.float64) != port.to(torch.float64)
    count = int(unequal.sum())
    worst = None
    if count:
        index = tuple(int(i) for i in unequal.nonzero()[0])
        worst = Worst(index, recorded[index].item(), port[index].item(), port[index].item())
    fits = rearranged(recorded, port, 0.0) if count else ""
    return Measure(not count, error=float(count), worst=worst, fits=fits)


def measure_rounded(
    recorded: Tensor,
    truth: Tensor,
    runs: Sequence[Tensor],
    single: Tensor | None = None,
    *,
    unit: float = UNIT[torch.float32],
    time_axis: int | None = None,
    least: float = 0.0,
) -> Measure:
    """Agreement within float32 rounding, by `parity.tolerance`.

    `truth` is the subject in float64, `runs` are those that show what rounding does to it, and `single` is the subject
    in float32, which must agree with the truth as well as the recording does. `least` is what rounding is known to be
    at least. Infinities must stand at the same places, and the lowest number of a format is one; a NaN on either side
    never agrees.
    """
    if tuple(recorded.shape) != tuple(truth.shape):
        moved = (
            max((float((r.to(truth.dtype) - truth).abs().max()) for r in runs), default=0.0) if truth.numel() else 0.0
        )
        scale = float(truth.abs().max()) if truth.numel() else 0.0
        return _of_shapes(recorded, truth, allowed(moved, scale, unit))
    if not recorded.numel():
        return Measure(True)
    single = runs[0] if single is None else single
    recorded, truth, single = (_without_masks(x) for x in (recorded, truth, single))
    runs = [_without_masks(run) for run in runs]
    recorded, truth = recorded.to(torch.float64), truth.to(torch.float64)
    finite = recorded.isfinite() & truth.isfinite()
    strange = ~finite & (recorded != truth)
    if strange.any():
        index = tuple(int(i) for i in strange.nonzero()[0])
        worst = Worst(index, recorded[index].item(), single[index].item(), truth[index].item())
        problem = f"{int(strange.sum())} of {recorded.numel()} elements are infinite or NaN on one side only"
        return Measure(False, problem, worst=worst)

    distance = torch.where(finite, recorded - truth, 0.0).abs()
    moves = [torch.where(finite, r.to(torch.float64) - truth, 0.0).abs().max() for r in runs]
    shown = torch.stack(moves).max() * max(1.0, FEW / recorded.numel())
    rounding = float(shown.clamp(min=least))  # a NaN stays one, and agrees with nothing
    scale = float(torch.where(finite, truth, 0.0).abs().max())
    error, tolerance = float(distance.max()), allowed(rounding, scale, unit)
    index = tuple(map(int, np.unravel_index(int(distance.argmax()), distance.shape)))
    worst = Worst(index, recorded[index].item(), single[index].item(), truth[index].item())
    imprecision = float(torch.where(finite, single.to(torch.float64) - truth, 0.0).abs().max())
    agrees = error <= tolerance and imprecision <= tolerance  # false for a NaN
    steps = () if time_axis is None else _by_step(distance, time_axis, tolerance)
    fits = "" if error <= tolerance else rearranged(recorded, truth, tolerance)
    return Measure(agrees, "", error, rounding, scale, tolerance, worst, steps, imprecision, fits)


def _without_masks(tensor: Tensor) -> Tensor:
    """With minus infinity for the lowest number of a tensor's own format, which masks have in its place."""
    if not tensor.is_floating_point():
        return tensor
    lowest = torch.finfo(tensor.dtype).min
    return torch.where(tensor == lowest, -math.inf, tensor) if float(tensor.min()) == lowest else tensor


def _by_step(distance: Tensor, time_axis: int, tolerance: float) -> tuple[float, ...]:
    largest = distance.movedim(time_axis, 0).flatten(1).amax(1)  # (T,)
    return tuple(units(error, tolerance) for error in largest.tolist())


def _of_shapes(recorded: Tensor, port: Tensor, tolerance: float) -> Measure:
    """The measure of tensors of different shapes."""
    problem = f"recorded with shape {tuple(recorded.shape)}, the port has {tuple(port.shape)}"
    fits = rearranged(recorded, port, tolerance)
    return Measure(False, f"{problem}; {fits}" if fits else problem, fits=fits)
