"""Layer normalisation: (x - mean) / deviation over the last axis, times a gain, plus a bias.

Roles: x (..., H), weight (H,) or none, bias (H,) or none. Settings: `unbiased` (n - 1 in place of n; False), `eps`
(1e-5), `eps_outside` (added to the deviation, not to the variance; False).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import torch
from torch import Tensor

from parity.diagnosis.definition import (
    Change,
    FittedParameter,
    Operands,
    OperationDefinition,
    Variant,
    for_each,
    rowwise,
    vary,
)

USUAL_EPS = (1e-5, 1e-6, 1e-12, 1e-8, 1e-3, 1e-4, 1e-7, 0.0)


@dataclass(frozen=True)
class Options:
    """How the norm is computed."""

    unbiased: bool
    eps: float
    eps_outside: bool
    axes: tuple[int, ...] = (-1,)
    centred: bool = True
    by_mean_square: bool = False
    """Divided by the root of the mean square instead of by the deviation."""
    root: bool = True
    absolute: bool = False
    """The mean absolute deviation in place of the root of the mean square."""
    normalised: bool = True
    gain: float = 1.0
    one_more: float = 0.0
    """What is added to the gain."""
    bias: float = 1.0
    bias_inside: bool = False


def compute(o: Operands, options: Options) -> Tensor:
    """(..., H)"""
    x = o["x"]
    if options.normalised:
        x = _normalised(x, options)
    weight, bias = o.get("weight"), o.get("bias")
    bias = None if bias is None else options.bias * bias
    if bias is not None and options.bias_inside:
        x = x + bias
    if weight is not None and options.gain:
        x = (options.gain * weight + options.one_more) * x
    return x if bias is None or options.bias_inside else x + bias


def _normalised(x: Tensor, options: Options) -> Tensor:
    centred = x - x.mean(options.axes, keepdim=True)
    spread = x if options.by_mean_square else centred
    count = torch.Size([x.shape[axis] for axis in options.axes]).numel() - options.unbiased
    if options.absolute:
        deviation = spread.abs().sum(options.axes, keepdim=True) / count + options.eps
    else:
        variance = spread.square().sum(options.axes, keepdim=True) / count
        if options.eps_outside:
            deviation = (variance.sqrt() if options.root else variance) + options.eps
        else:
            deviation = (variance + options.eps).sqrt() if options.root else variance + options.eps
    return (centred if options.centred else x) / deviation


def _by_parts(o: Operands, options: Options, count: int) -> Tensor:
    x = o["x"]
    parts = _normalised(x.reshape(*x.shape[:-1], count, x.shape[-1] // count), options).reshape(x.shape)
    return compute(o.having(x=parts), replace(options, normalised=False))


def _options(settings: Operands) -> Options:
    return Options(
        settings.setting("unbiased", False), settings.setting("eps", 1e-5), settings.setting("eps_outside", False)
    )


def _deviations(options: Options, n: int) -> Iterator[Change]:
    """n or n - 1, eps inside or outside, another eps, and all together, fewest differences first."""
    by, place = (
        {True: f"by n - 1 = {n - 1}", False: f"by n = {n}"},
        {True: "outside the root", False: "inside the root"},
    )
    found = []
    for unbiased, outside, eps in product((True, False), (True, False), USUAL_EPS):
        if not eps and outside != options.eps_outside:  # nothing is added, wherever
            continue
        differs = [
            (unbiased != options.unbiased, f"divides the variance {by[unbiased]}", by[options.unbiased]),
            (outside != options.eps_outside, f"adds eps {place[outside]}", place[options.eps_outside]),
            (eps != options.eps, f"takes eps = {eps:g}", f"{options.eps:g}"),
        ]
        description, canonical_description = [d[1] for d in differs if d[0]], [d[2] for d in differs if d[0]]
        fields = {"unbiased": unbiased, "eps_outside": outside, "eps": eps}
        found.append((len(description), Change(_joined(description), _joined(canonical_description), fields)))
    yield from (change for count, change in sorted(found, key=lambda f: f[0]) if count)


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    yield from _deviations(options, o["x"].shape[-1])
    yield Change("leaves the gain out", "multiplies by it", {"gain": 0.0})
    yield Change("multiplies by 1 + gain", "by the gain", {"one_more": 1.0})
    yield Change("multiplies by the gain's negative", "by the gain", {"gain": -1.0})
    yield Change("leaves the bias out", "adds it", {"bias": 0.0})
    yield Change("subtracts the bias", "adds it", {"bias": -1.0})
    yield Change("adds the bias twice", "once", {"bias": 2.0})
    yield Change("leaves gain and bias out", "applies both", {"gain": 0.0, "bias": 0.0})
    yield Change("adds the bias before the gain", "after it", {"bias_inside": True})
    rms = {"centred": False, "by_mean_square": True}
    yield Change("does not centre (an RMS norm)", "subtracts the mean", rms)
    uncentred = "does not subtract the mean before it divides by the deviation"
    yield Change(uncentred, "subtracts it", {"centred": False})
    yield Change("divides by the root of the mean square", "by the deviation", {"by_mean_square": True})
    yield Change("divides by the variance", "by its root", {"root": False})
    yield Change("divides by the mean absolute deviation", "by the root of the mean square", {"absolute": True})
    yield Change("does not normalise, only applies gain and bias", "normalises", {"normalised": False})
    ndim = o["x"].ndim
    for axis in range(-ndim, -1):
        description = f"normalises over axis {axis + ndim}"
        yield Change(description, "over the last axis", {"axes": (axis,)}, needs_whole_tensor=True)
    for axis in range(-ndim, -1):
        description, axes = f"normalises over the last {-axis} axes together", tuple(range(axis, 0))
        yield Change(description, "over the last", {"axes": axes}, needs_whole_tensor=True)


def _canonical(o: Operands) -> Tensor:
    return compute(o, _options(o))


def _variants(o: Operands) -> Iterator[Variant]:
    options = _options(o)
    yield from vary(compute, o, options, _changes(o, options))
    if "weight" in o:
        squared = o.having(weight=o["weight"].square())
        yield Variant("multiplies by the gain twice", "once", lambda: compute(squared, options))
    parts = "normalises {} parts of the last axis each by itself"
    yield from for_each((2, 4, 8), parts, "all of it", partial(_by_parts, o, options))
    again = o.having(x=_canonical(o))
    yield Variant("normalises twice", "once", lambda: compute(again, options))


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    own = _options(o)
    others = [replace(own, unbiased=u, eps_outside=e) for u, e in product((True, False), (True, False))]
    others.sort(key=lambda other: (other.unbiased != own.unbiased) + (other.eps_outside != own.eps_outside))
    for other in others:
        place = "outside the root" if other.eps_outside else "inside the root"
        description = f"takes eps = {{}} {place}, the variance divided by {'n - 1' if other.unbiased else 'n'}"
        yield FittedParameter(description, f"{own.eps:g}", own.eps, partial(_with_eps, o, other))
    gain = "multiplies by {} + gain"
    yield FittedParameter(gain, "by the gain", 0.0, lambda more: compute(o, replace(own, one_more=more)))


def _with_eps(o: Operands, options: Options, eps: float) -> Tensor:
    return compute(o, replace(options, eps=eps))


LAYER_NORM = OperationDefinition(_canonical, _variants, rowwise("x", mixes=1), _fitted_parameters)
