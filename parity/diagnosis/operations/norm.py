"""Layer normalisation: (x - mean) / deviation over the last axis, times a gain, plus a bias.

Roles: x (..., H), weight (H,) or none, bias (H,) or none. Settings: `unbiased` (n - 1 in place of n; False), `eps`
(1e-5), `eps_outside` (added to the deviation, not to the variance; False).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from parity.diagnosis.definition import Change, Kind, Knob, Operands, Variant, rows_of, vary

USUAL_EPS = (1e-5, 1e-6, 1e-12, 1e-8, 1e-3, 1e-4, 1e-7, 0.0)


@dataclass(frozen=True)
class Form:
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


def compute(o: Operands, form: Form) -> Tensor:
    """(..., H)"""
    x = o["x"]
    if form.normalised:
        x = _normalised(x, form)
    weight, bias = o.get("weight"), o.get("bias")
    bias = None if bias is None else form.bias * bias
    if bias is not None and form.bias_inside:
        x = x + bias
    if weight is not None and form.gain:
        x = (form.gain * weight + form.one_more) * x
    return x if bias is None or form.bias_inside else x + bias


def _normalised(x: Tensor, form: Form) -> Tensor:
    centred = x - x.mean(form.axes, keepdim=True)
    spread = x if form.by_mean_square else centred
    count = torch.Size([x.shape[axis] for axis in form.axes]).numel() - form.unbiased
    if form.absolute:
        deviation = spread.abs().sum(form.axes, keepdim=True) / count + form.eps
    else:
        variance = spread.square().sum(form.axes, keepdim=True) / count
        if form.eps_outside:
            deviation = (variance.sqrt() if form.root else variance) + form.eps
        else:
            deviation = (variance + form.eps).sqrt() if form.root else variance + form.eps
    return (centred if form.centred else x) / deviation


def _by_parts(o: Operands, form: Form, count: int) -> Tensor:
    x = o["x"]
    parts = _normalised(x.reshape(*x.shape[:-1], count, x.shape[-1] // count), form).reshape(x.shape)
    return compute(o.having(x=parts), replace(form, normalised=False))


def _form(settings: Operands) -> Form:
    return Form(
        settings.setting("unbiased", False), settings.setting("eps", 1e-5), settings.setting("eps_outside", False)
    )


def _deviations(form: Form, n: int) -> Iterator[Change]:
    """n or n - 1, eps inside or outside, another eps, and all together, fewest differences first."""
    by, place = (
        {True: f"by n - 1 = {n - 1}", False: f"by n = {n}"},
        {True: "outside the root", False: "inside the root"},
    )
    found = []
    for unbiased, outside, eps in product((True, False), (True, False), USUAL_EPS):
        differs = [
            (unbiased != form.unbiased, f"divides the variance {by[unbiased]}", by[form.unbiased]),
            (outside != form.eps_outside, f"adds eps {place[outside]}", place[form.eps_outside]),
            (eps != form.eps, f"takes eps = {eps:g}", f"{form.eps:g}"),
        ]
        description, canonical_description = [d[1] for d in differs if d[0]], [d[2] for d in differs if d[0]]
        fields = {"unbiased": unbiased, "eps_outside": outside, "eps": eps}
        found.append((len(description), Change(_joined(description), _joined(canonical_description), fields)))
    yield from (change for count, change in sorted(found, key=lambda f: f[0]) if count)


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _changes(o: Operands, form: Form) -> Iterator[Change]:
    yield from _deviations(form, o["x"].shape[-1])
    rest: list[tuple[str, str, dict[str, Any]]] = [
        ("leaves the gain out", "multiplies by it", {"gain": 0.0}),
        ("multiplies by 1 + gain", "by the gain", {"one_more": 1.0}),
        ("multiplies by the gain's negative", "by the gain", {"gain": -1.0}),
        ("leaves the bias out", "adds it", {"bias": 0.0}),
        ("subtracts the bias", "adds it", {"bias": -1.0}),
        ("adds the bias twice", "once", {"bias": 2.0}),
        ("leaves gain and bias out", "applies both", {"gain": 0.0, "bias": 0.0}),
        ("adds the bias before the gain", "after it", {"bias_inside": True}),
        ("does not centre (an RMS norm)", "subtracts the mean", {"centred": False, "by_mean_square": True}),
        ("does not subtract the mean before it divides by the deviation", "subtracts it", {"centred": False}),
        ("divides by the root of the mean square", "by the deviation", {"by_mean_square": True}),
        ("divides by the variance", "by its root", {"root": False}),
        ("divides by the mean absolute deviation", "by the root of the mean square", {"absolute": True}),
        ("does not normalise, only applies gain and bias", "normalises", {"normalised": False}),
    ]
    yield from (Change(*row) for row in rest)
    axes = range(-o["x"].ndim, -1)
    for axis in axes:
        yield Change(f"normalises over axis {axis + o['x'].ndim}", "over the last axis", {"axes": (axis,)}, whole=True)
    for axis in axes:
        every = tuple(range(axis, 0))
        yield Change(f"normalises over the last {-axis} axes together", "over the last", {"axes": every}, whole=True)


def _canonical(o: Operands) -> Tensor:
    return compute(o, _form(o))


def _variants(o: Operands) -> Iterator[Variant]:
    form = _form(o)
    yield from vary(compute, o, form, _changes(o, form))
    if "weight" in o:
        squared = o.having(weight=o["weight"].square())
        yield Variant("multiplies by the gain twice", "once", lambda: compute(squared, form))
    for count in (2, 4, 8):
        yield Variant(
            f"normalises {count} parts of the last axis each by itself", "all of it", partial(_by_parts, o, form, count)
        )
    again = o.having(x=_canonical(o))
    yield Variant("normalises twice", "once", lambda: compute(again, form))


def _knobs(o: Operands) -> Iterator[Knob]:
    form = _form(o)
    ways = sorted(
        product((True, False), (True, False)), key=lambda way: (way[0] != form.unbiased) + (way[1] != form.eps_outside)
    )
    for unbiased, outside in ways:
        place = "outside the root" if outside else "inside the root"
        description = f"takes eps = {{}} {place}, the variance divided by {'n - 1' if unbiased else 'n'}"
        way = replace(form, unbiased=unbiased, eps_outside=outside)
        yield Knob(
            description, f"{form.eps:g}", form.eps, partial(lambda way, eps: compute(o, replace(way, eps=eps)), way)
        )
    yield Knob("multiplies by {} + gain", "by the gain", 0.0, lambda more: compute(o, replace(form, one_more=more)))


LAYER_NORM = Kind(_canonical, _variants, rows_of("x", mixes=1), _knobs)
