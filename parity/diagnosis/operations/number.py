"""Every number of x times a factor (`scaled`, setting `factor`), or plus one (`shifted`, setting `term`).

Role `square`, if x is the root of it. Setting `sizes`: sizes that a factor may come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.constants import constants, named
from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant, rowwise


def _sizes(o: Operands) -> list[int]:
    return list(dict.fromkeys([*o.setting("sizes", ()), *o.shape("x")]))


def _scaled_variants(o: Operands) -> Iterator[Variant]:
    x, factor, sizes = o["x"], o.settings["factor"], _sizes(o)
    own = f"by {named(factor, sizes)}"
    yield Variant("does not scale", f"scales {own}", x.clone)
    found = {**constants(sizes), "its inverse": 1 / factor, "its square": factor**2, "its root": abs(factor) ** 0.5}
    numbers = [1.0, factor]
    for name, other in found.items():
        if not any(abs(other - number) <= 1e-9 * abs(number) for number in numbers):
            numbers.append(other)
            yield Variant(f"scales by {name}", own, partial(torch.mul, x, other))


def _scaled_fitted(o: Operands) -> Iterator[FittedParameter]:
    factor = o.settings["factor"]
    yield FittedParameter("scales by {}", f"by {named(factor, _sizes(o))}", factor, partial(torch.mul, o["x"]))


def _shifted_variants(o: Operands) -> Iterator[Variant]:
    x, term = o["x"], o.settings["term"]
    yield Variant(f"does not add {term:g}", "adds it", x.clone)
    if "square" in o:
        for eps in dict.fromkeys((abs(term), 1e-5, 1e-6, 1e-8, 1e-3, 1e-2)):
            words = f"adds {eps:g} inside the root"
            yield Variant(words, f"{term:g} outside", partial(_rooted, o["square"], eps))
    for other in (-term, 2 * term, 1e-5, 1e-6, 1e-8, 1e-3, 1e-2, 1e-4, 1e-7, 1.0, -1.0):
        if other != term:
            yield Variant(f"adds {other:g}", f"{term:g}", partial(torch.add, x, other))


def _rooted(square: Tensor, eps: float) -> Tensor:
    return (square + eps).sqrt()


def _shifted_fitted(o: Operands) -> Iterator[FittedParameter]:
    term = o.settings["term"]
    yield FittedParameter("adds {}", f"{term:g}", term, partial(torch.add, o["x"]))


def _scaled(o: Operands) -> Tensor:
    factor = o.settings["factor"]
    return o["x"] * (float(factor) if o["x"].is_floating_point() else int(factor))


def _shifted(o: Operands) -> Tensor:
    term = o.settings["term"]
    return o["x"] + (float(term) if o["x"].is_floating_point() else int(term))


OPERATIONS = {
    "scaled": OperationDefinition(_scaled, _scaled_variants, rowwise("x"), _scaled_fitted),
    "shifted": OperationDefinition(_shifted, _shifted_variants, rowwise("x"), _shifted_fitted),
}
