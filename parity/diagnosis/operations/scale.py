"""Attention's scale: x (B, heads, T, K) over the root of a dimension.

Settings: `sqrt_of`, "queries" for T or "width" for d; `width`, d; `heads`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant


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
    canonical_description = f"by sqrt({letter}) = sqrt({own})"
    for other, n in others:
        if n > 1 and n != own:
            yield Variant(
                f"divides by sqrt({other}) = sqrt({n})", canonical_description, partial(lambda n: x / math.sqrt(n), n)
            )
    yield Variant("does not scale", f"divides {canonical_description}", lambda: x.clone())
    for other, n in [(letter, own), *others]:
        if n > 1:
            yield Variant(f"divides by {other} = {n}", canonical_description, partial(lambda n: x / n, n))
            yield Variant(
                f"multiplies by sqrt({other}) = sqrt({n})",
                f"divides {canonical_description}",
                partial(lambda n: x * n**0.5, n),
            )
            yield Variant(
                f"multiplies by {other} = {n}", f"divides {canonical_description}", partial(lambda n: x * n, n)
            )
    root = math.sqrt(own)
    for name, factor in (("sqrt(2)", math.sqrt(2)), ("2", 2.0), ("-1", -1.0)):
        yield Variant(
            f"divides by {name} sqrt({letter})", canonical_description, partial(lambda f: x / (f * root), factor)
        )
        yield Variant(
            f"divides by sqrt({letter}) / {name}", canonical_description, partial(lambda f: x * f / root, factor)
        )
    yield Variant(f"divides by the fourth root of {letter}", canonical_description, lambda: x / own**0.25)


SCALE = OperationDefinition(_compute, _variants, lambda settings, axis: {"x": axis})
