"""Norms over channels, the axis after the batch: in groups, or by statistics that were kept.

`group_norm`: x (B, C, ...), weight and bias (C,) or none; settings `groups`, `eps`. `batch_norm`: the same, and mean
and variance (C,); setting `eps`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands
from parity.diagnosis.formula import Change, Formula, Options, exchange, on, without
from parity.diagnosis.operations.norm import USUAL_EPS
from parity.diagnosis.operations.weights import bias_changes


def _affine(o: Operands, x: Tensor, axis: int) -> Tensor:
    shape = [1] * x.ndim
    shape[axis] = -1
    for role, join in (("weight", torch.mul), ("bias", torch.add)):
        x = join(x, o[role].reshape(shape)) if role in o else x
    return x


def _normed(x: Tensor, axes: tuple[int, ...], eps: float, outside: bool, unbiased: bool, centred: bool) -> Tensor:
    middle = x - x.mean(axes, keepdim=True)
    spread = middle if centred else x
    count = torch.Size([x.shape[axis] for axis in axes]).numel() - unbiased
    variance = spread.square().sum(axes, keepdim=True) / count
    return spread / ((variance.sqrt() + eps) if outside else (variance + eps).sqrt())


def _group(
    o: Operands,
    groups: int = 1,
    eps: float = 1e-5,
    eps_outside: bool = False,
    unbiased: bool = False,
    interleaved: bool = False,
    centred: bool = True,
    by_position: bool = False,  # every place of the other axes by itself
    last: bool = False,  # the channels are the last axis
) -> Tensor:
    x = o["x"].movedim(-1, 1) if last else o["x"]
    batch, channels, *others = x.shape
    split = (batch, channels // groups, groups) if interleaved else (batch, groups, channels // groups)
    own = 1 if interleaved else 2
    axes = (own,) if by_position else (own, *range(3, 3 + len(others)))
    y = _normed(x.reshape(*split, *others), axes, eps, eps_outside, unbiased, centred).reshape(x.shape)
    y = _affine(o, y, 1)
    return y.movedim(1, -1) if last else y


GROUP = Formula(_group)


def _eps_changes(options: Options) -> Iterator[Change]:
    for eps in USUAL_EPS:
        yield Change(f"takes eps = {eps:g}", f"{options['eps']:g}", {"eps": eps})
    yield Change("adds eps outside the root", "inside the root", {"eps_outside": True})


def _affine_changes(o: Operands) -> Iterator[Change]:
    if "weight" in o:
        yield Change("leaves the gain out", "multiplies by it", operands=without("weight"))
        yield Change("multiplies by 1 + gain", "by the gain", operands=on(lambda gain: 1 + gain, "weight"))
    if "bias" in o:
        yield from bias_changes("bias", "the bias")
    if "weight" in o and "bias" in o:
        yield Change("leaves gain and bias out", "applies both", operands=without("weight", "bias"))
        yield Change("takes gain and bias in each other's place", "does not", operands=exchange(("weight", "bias")))


def _group_changes(o: Operands, options: Options) -> Iterator[Change]:
    channels, own = o["x"].shape[1], options["groups"]
    for groups in (n for n in range(1, channels + 1) if channels % n == 0):
        yield Change(f"normalises {groups} groups of channels", f"{own} groups", {"groups": groups})
    words = f"gives each group every {own}th channel"
    yield Change(words, "neighbouring ones", {"interleaved": True}, needs_whole_tensor=True)
    yield from _eps_changes(options)
    yield Change("divides the variance by n - 1", "by n", {"unbiased": True})
    yield Change("does not centre (an RMS norm)", "subtracts the mean", {"centred": False})
    yield Change("normalises every place by itself", "all places of a group together", {"by_position": True})
    yield Change("takes the last axis for the channels", "the second", {"last": True})
    yield from _affine_changes(o)


def _batch(
    o: Operands,
    eps: float = 1e-5,
    eps_outside: bool = False,
    of_batch: bool = False,
    unbiased: bool = False,
    root: bool = True,
    axis: int = 1,
) -> Tensor:
    x = o["x"]
    shape = [1] * x.ndim
    shape[axis] = -1
    if of_batch or "mean" not in o:
        others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
        return _affine(o, _normed(x, others, eps, eps_outside, unbiased, True), axis)
    mean, variance = o["mean"].reshape(shape), o["variance"].reshape(shape)
    below = variance if not root else variance.sqrt() + eps if eps_outside else (variance + eps).sqrt()
    return _affine(o, (x - mean) / below, axis)


BATCH = Formula(_batch)


def _batch_changes(o: Operands, options: Options) -> Iterator[Change]:
    yield from _eps_changes(options)
    yield Change("takes the mean and variance of the batch", "those it has kept", {"of_batch": True})
    words = "takes the mean and the unbiased variance of the batch"
    yield Change(words, "those it has kept", {"of_batch": True, "unbiased": True})
    if "mean" in o:
        yield Change("divides by the variance as it is kept", "by its root", {"root": False})
        swapped = exchange(("mean", "variance"))
        yield Change("takes mean and variance in each other's place", "does not", operands=swapped)
        yield Change("does not subtract the mean", "subtracts it", operands=on(torch.zeros_like, "mean"))
        yield Change("does not divide by the deviation", "divides", operands=on(torch.ones_like, "variance"))
        squared = on(torch.square, "variance")
        yield Change("takes what is kept for the deviation, and not the variance", "the variance", operands=squared)
    yield Change("takes the last axis for the channels", "the second", {"axis": -1})
    yield from _affine_changes(o)


def _fitted(formula: Formula, o: Operands) -> Iterator[FittedParameter]:
    yield formula.fit(o, "eps", "takes eps = {}", f"{formula.options(o)['eps']:g}")


OPERATIONS = {
    "group_norm": GROUP.definition(_group_changes, fitted_parameters=partial(_fitted, GROUP)),
    "batch_norm": BATCH.definition(_batch_changes, fitted_parameters=partial(_fitted, BATCH)),
}
