"""Softmax over the last axis of x. Optional roles: `unmasked`, x before the mask, and `mask`."""

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant, rowwise


def _plus_one(x: Tensor) -> Tensor:
    """exp(x) / (1 + sum exp(x))"""
    zero = torch.zeros_like(x[..., :1])
    return torch.cat([x, zero], -1).softmax(-1)[..., :-1]


def _variants(o: Operands) -> Iterator[Variant]:
    x = o["x"]
    canonical = "over the last axis"
    for axis in range(-2, -x.ndim - 1, -1):
        words = f"takes the softmax over {'the queries' if axis == -2 else f'axis {axis + x.ndim}'}"
        yield Variant(words, canonical, partial(torch.softmax, x, axis), needs_whole_tensor=True)
    if x.ndim > 1:
        words = "takes the softmax over the last two axes together"
        yield Variant(words, canonical, lambda: x.flatten(-2).softmax(-1).reshape(x.shape), needs_whole_tensor=True)
    yield Variant("applies the sigmoid", "softmax", lambda: x.sigmoid())
    yield Variant("takes powers of 2", "of e", lambda: (x * math.log(2)).softmax(-1))
    yield Variant("has a temperature of 2", "of 1", lambda: (x / 2).softmax(-1))
    yield Variant("has a temperature of 1/2", "of 1", lambda: (x * 2).softmax(-1))
    yield Variant("adds 1 to the denominator", "does not", lambda: _plus_one(x))
    yield Variant("gives the logarithm (log softmax)", "the softmax", lambda: x.log_softmax(-1))
    yield Variant("does not divide by the sum", "divides", lambda: x.exp())
    yield Variant("applies no softmax", "softmax", lambda: x.clone())
    yield Variant("applies softmax twice", "once", lambda: x.softmax(-1).softmax(-1))
    yield Variant("takes the softmax of -x", "of x", lambda: torch.where(x.isinf(), x, -x).softmax(-1))
    yield Variant("gives all to the largest", "softmax", lambda: (x == x.amax(-1, keepdim=True)).to(x.dtype))
    yield Variant("spreads evenly over what is visible", "softmax", lambda: _normed(x.isfinite().to(x.dtype)))
    yield Variant("divides relu(x) by its sum", "the powers of e by theirs", lambda: _normed(x.relu()))
    if "unmasked" not in o:
        return
    bare = o["unmasked"]
    yield Variant("takes no mask", "takes the mask first", lambda: bare.softmax(-1))
    if "mask" in o:
        visible = o["mask"] == 0
        late = "masks after the softmax, without dividing again"
        yield Variant(late, "before it", lambda: torch.where(visible, bare.softmax(-1), 0.0))
        yield Variant("adds the mask after the softmax", "before it", lambda: bare.softmax(-1) + o["mask"])


def _normed(x: Tensor) -> Tensor:
    return x / x.sum(-1, keepdim=True)


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    powers = o["x"].exp()
    total = powers.sum(-1, keepdim=True)
    yield FittedParameter("adds {} to the denominator", "does not", 0.0, lambda more: powers / (total + more))


WINDOW_RULE = rowwise("x", "unmasked", "mask", mixes=1)
OPERATIONS = {"softmax": OperationDefinition(lambda o: o["x"].softmax(-1), _variants, WINDOW_RULE, _fitted_parameters)}
