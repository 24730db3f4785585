"""Attention's scale: x (B, heads, T, K) over the root of a dimension.

Settings: `sqrt_of`, "queries" for T or "width" for d; `width`, d; `heads`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, rowwise


def _sizes(o: Operands) -> dict[str, int]:
    """Every size there is, by its letter, the one of the formula first."""
    batch, heads, steps, keys = o.shape("x")
    width = o.settings["width"]
    sizes = {"T": steps, "d": width, "H": width * heads, "K": keys, "A": heads, "B": batch, "M": keys - steps}
    own = {"queries": "T", "width": "d"}[o.setting("sqrt_of", "width")]
    return {own: sizes.pop(own), **sizes}


def _compute(o: Operands) -> Tensor:
    return o["x"] / math.sqrt(next(iter(_sizes(o).values())))


def _variants(o: Operands) -> Iterator[Variant]:
    x = o["x"]
    (letter, own), *others = _sizes(o).items()
    canonical = f"by sqrt({letter}) = sqrt({own})"
    sizes = [(other, n) for other, n in others if n > 1]
    for other, n in sizes:
        if n != own:
            yield Variant(f"divides by sqrt({other}) = sqrt({n})", canonical, partial(torch.div, x, math.sqrt(n)))
    yield Variant("does not scale", f"divides {canonical}", lambda: x.clone())
    for other, n in [(letter, own), *sizes]:
        yield Variant(f"divides by {other} = {n}", canonical, partial(torch.div, x, n))
        root_words = f"multiplies by sqrt({other}) = sqrt({n})"
        yield Variant(root_words, f"divides {canonical}", partial(torch.mul, x, math.sqrt(n)))
        yield Variant(f"multiplies by {other} = {n}", f"divides {canonical}", partial(torch.mul, x, n))
    root = math.sqrt(own)
    for name, factor in (("sqrt(2)", math.sqrt(2)), ("2", 2.0)):
        yield Variant(f"divides by {name} sqrt({letter})", canonical, partial(torch.div, x, factor * root))
        yield Variant(f"divides by sqrt({letter}) / {name}", canonical, partial(torch.mul, x, factor / root))
    yield Variant(f"divides by -1 sqrt({letter})", canonical, lambda: -x / root)
    yield Variant(f"divides by the fourth root of {letter}", canonical, lambda: x / own**0.25)


OPERATIONS = {"attention_scale": OperationDefinition(_compute, _variants, rowwise("x"))}
