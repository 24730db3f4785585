"""Softmax of x.

Roles that may be there: `unmasked`, x before the mask, and `mask`. Settings: `axis` (-1), from the end; `log`, whether
its logarithm is given.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant, rowwise
from parity.diagnosis.formula import Formula

MOST_KEPT = 8
"""Numbers of largest ones that are tried."""


def _plus_one(x: Tensor) -> Tensor:
    """exp(x) / (1 + sum exp(x))"""
    zero = torch.zeros_like(x[..., :1])
    return torch.cat([x, zero], -1).softmax(-1)[..., :-1]


def _compute(o: Operands, axis: int = -1, log: bool = False) -> Tensor:
    return o["x"].log_softmax(axis) if log else o["x"].softmax(axis)


SOFTMAX = Formula(_compute)


def _variants(o: Operands) -> Iterator[Variant]:
    x, own, log = o["x"], o.setting("axis", -1), o.setting("log", False)
    canonical = "over the last axis" if own == -1 else f"over axis {own + x.ndim}"
    for axis in range(-1, -x.ndim - 1, -1):
        if axis != own:
            name = "the last axis" if axis == -1 else "the queries" if axis == -2 else f"axis {axis + x.ndim}"
            other = partial(SOFTMAX, o, axis=axis)
            yield Variant(f"takes the softmax over {name}", canonical, other, needs_whole_tensor=True)
    if x.ndim > 1:
        words = "takes the softmax over the last two axes together"
        yield Variant(words, canonical, lambda: x.flatten(-2).softmax(-1).reshape(x.shape), needs_whole_tensor=True)
    if log:
        yield Variant("takes no logarithm", "the logarithm of the softmax", lambda: x.softmax(own))
    else:
        yield Variant("gives the logarithm (log softmax)", "the softmax", lambda: x.log_softmax(own))
    yield Variant("applies the sigmoid", "softmax", lambda: x.sigmoid())
    yield Variant("takes powers of 2", "of e", lambda: SOFTMAX(o.having(x=x * math.log(2))))
    yield Variant("has a temperature of 2", "of 1", lambda: SOFTMAX(o.having(x=x / 2)))
    yield Variant("has a temperature of 1/2", "of 1", lambda: SOFTMAX(o.having(x=x * 2)))
    yield Variant("adds 1 to the denominator", "does not", lambda: _plus_one(x))
    yield Variant("does not divide by the sum", "divides", lambda: x.exp())
    yield Variant("applies no softmax", "softmax", lambda: x.clone())
    yield Variant("applies softmax twice", "once", lambda: SOFTMAX(o.having(x=SOFTMAX(o))))
    yield Variant("takes the softmax of -x", "of x", lambda: torch.where(x.isinf(), x, -x).softmax(own))
    yield Variant("gives all to the largest", "softmax", lambda: (x == x.amax(-1, keepdim=True)).to(x.dtype))
    for count in range(2, min(MOST_KEPT + 1, x.shape[-1])):
        yield Variant(f"takes the softmax of the largest {count} alone", "of all", partial(_of_largest, x, count))
    yield Variant("spreads evenly over what is visible", "softmax", lambda: _normed(x.isfinite().to(x.dtype)))
    for function, words in ((torch.relu, "relu(x)"), (torch.square, "x^2"), (F.softplus, "softplus(x)")):
        positive = partial(_over_sum, function, x)
        yield Variant(f"divides {words} by its sum", "the powers of e by theirs", positive)
    if "unmasked" not in o and x.ndim > 1 and own == -1 and 1 < x.shape[-2] <= x.shape[-1]:
        yield from _masked_first(o)
    if "unmasked" not in o:
        return
    bare = o["unmasked"]
    yield Variant("takes no mask", "takes the mask first", lambda: SOFTMAX(o.having(x=bare)))
    late = "masks after the softmax, without dividing again"
    visible = o["mask"] == 0 if "mask" in o else bare == x
    yield Variant(late, "before it", lambda: torch.where(visible, bare.softmax(own), 0.0))
    if "mask" in o:
        yield Variant("adds the mask after the softmax", "before it", lambda: bare.softmax(-1) + o["mask"])


def _of_largest(x: Tensor, count: int) -> Tensor:
    least = x.topk(count, -1).values[..., -1:]
    return x.masked_fill(x < least, -math.inf).softmax(-1)


def _masked_first(o: Operands) -> Iterator[Variant]:
    """A causal mask that the canonical formula has not."""
    x = o["x"]
    hidden = torch.ones(x.shape[-2:], dtype=torch.bool).triu(1 + x.shape[-1] - x.shape[-2])
    words = "hides the future first (a causal mask)"
    yield Variant(words, "does not", lambda: SOFTMAX(o.having(x=x.masked_fill(hidden, -math.inf))), True)
    words = "hides the future after the softmax (a causal mask), without dividing again"
    yield Variant(words, "does not", lambda: SOFTMAX(o).masked_fill(hidden, 0.0), True)


def _normed(x: Tensor) -> Tensor:
    return x / x.sum(-1, keepdim=True)


def _over_sum(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function in the place of exp; what is hidden is 0, and so is a row whose sum is."""
    powers = torch.where(x.isinf(), 0.0, function(x))
    total = powers.sum(-1, keepdim=True)
    return torch.where(total == 0, 0.0, powers / total)


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    x = o["x"]
    if o.setting("axis", -1) != -1 or o.setting("log", False):
        return
    yield FittedParameter("scales x by {} first", "does not", 1.0, lambda factor: (x * factor).softmax(-1))
    powers = x.exp()
    total = powers.sum(-1, keepdim=True)
    yield FittedParameter("adds {} to the denominator", "does not", 0.0, lambda more: powers / (total + more))


def _window_rule(settings: Mapping[str, Any], axis: int) -> Mapping[str, int] | None:
    alone = rowwise("x", "unmasked", "mask", mixes=1)
    return alone(settings, axis) if settings.get("axis", -1) == -1 else None


OPERATIONS = {"softmax": OperationDefinition(SOFTMAX, _variants, _window_rule, _fitted_parameters)}
