"""Attention's scale: x (B, heads, T, K) over the root of a dimension.

Settings: `sqrt_of`, "queries" for T or "width" for d; `width`, d; `heads`.
"""

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


def _factors(o: Operands) -> Iterator[tuple[str, str, float]]:
    """Other factors, each after a description of it and of the canonical one."""
    (letter, own), *others = _sizes(o).items()
    root, by = math.sqrt(own), f"by sqrt({letter}) = sqrt({own})"
    sizes = [(other, n) for other, n in others if n > 1]
    for other, n in sizes:
        if n != own:
            yield f"divides by sqrt({other}) = sqrt({n})", by, 1 / math.sqrt(n)
    yield "does not scale", f"divides {by}", 1.0
    for other, n in [(letter, own), *sizes]:
        yield f"divides by {other} = {n}", by, 1 / n
        yield f"multiplies by sqrt({other}) = sqrt({n})", f"divides {by}", math.sqrt(n)
        yield f"multiplies by {other} = {n}", f"divides {by}", n
    for name, factor in (("sqrt(2)", math.sqrt(2)), ("2", 2.0)):
        yield f"divides by {name} sqrt({letter})", by, 1 / (factor * root)
        yield f"divides by sqrt({letter}) / {name}", by, factor / root
    yield f"divides by -1 sqrt({letter})", by, -1 / root
    yield f"divides by the fourth root of {letter}", by, own**-0.25
    yield f"divides by the cube root of {letter}", by, own ** (-1 / 3)
    for words, n in [(f"{letter}{k:+d}", own + k) for k in (1, -1, 2, -2)]:
        if n > 0:
            yield f"divides by sqrt({words})", by, 1 / math.sqrt(n)
    for words, n in ((letter, own), (f"{letter}+1", own + 1), (f"{letter}+2", own + 2)):
        if n > 1:
            yield f"divides by log({words})", by, 1 / math.log(n)
            yield f"divides by log2({words})", by, 1 / math.log2(n)


def _variants(o: Operands) -> Iterator[Variant]:
    for description, canonical_description, factor in _factors(o):
        yield Variant(description, canonical_description, partial(torch.mul, o["x"], factor))


OPERATIONS = {"attention_scale": OperationDefinition(_compute, _variants, rowwise("x"))}
