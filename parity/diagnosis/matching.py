"""When one tensor reproduces another."""

import math

import torch
from torch import Tensor

from parity.tolerance import FLOOR, UNIT

TIGHT = 1e-9
"""The difference, relative to the scale, that sums in another order make in float64."""


def distance(a: Tensor, b: Tensor) -> float:
    """max |a - b|; infinite where shapes differ, at a NaN, or where infinities stand at other places."""
    if a.shape != b.shape:
        return math.inf
    if not a.numel():
        return 0.0
    a, b = a.to(torch.float64), b.to(torch.float64)
    largest = float((a - b).abs_().max())
    if math.isfinite(largest):
        return largest
    same = a == b
    if same.all():
        return 0.0
    far = torch.where(same, 0.0, (a - b).abs())
    return float(far.max()) if bool(far.isfinite().all()) else math.inf


def scale(tensor: Tensor) -> float:
    """max |tensor| over finite elements; 0 of an empty tensor."""
    if not tensor.numel():
        return 0.0
    tensor = tensor.to(torch.float64)
    largest = float(tensor.abs().max())
    return largest if math.isfinite(largest) else float(torch.where(tensor.isfinite(), tensor, 0.0).abs().max())


def floor(tensor: Tensor) -> float:
    """The error of a tensor that float32 always explains (`parity.tolerance`)."""
    return FLOOR * UNIT[torch.float32] * scale(tensor)


def reproduces(computed: Tensor, recorded: Tensor, tolerance: float, error: float) -> bool:
    """Whether a recorded tensor, which is `error` away without the hint, is `computed` within rounding.

    The hint must do much better than nothing: an error just above the tolerance is not explained by one just below.
    """
    return distance(computed, recorded) <= min(tolerance, error / 4)


def equals(computed: Tensor, given: Tensor, unit: float = 0.0) -> bool:
    """Whether `given`, in float64, is `computed` up to the order of sums; with `unit`, up to the last places of a half
    precision that can hold all its numbers."""
    if unit:
        return _representable(given, unit) and distance(computed, given) <= 8 * unit * scale(given)
    gap = distance(computed, given)
    if gap == math.inf and computed.shape == given.shape:
        nowhere = computed.isnan() & given.isnan()
        if nowhere.any() and not nowhere.all():  # a formula that divides by zero does so at the same places
            computed, given = (torch.where(nowhere, 0.0, x) for x in (computed, given))
            gap = distance(computed, given)
    return gap <= TIGHT * scale(given)


def _representable(tensor: Tensor, unit: float) -> bool:
    dtype = torch.float16 if unit == UNIT[torch.float16] else torch.bfloat16
    return bool((tensor.to(dtype).to(tensor.dtype) == tensor).all())
