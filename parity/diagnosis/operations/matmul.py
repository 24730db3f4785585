"""A product of matrices, of the last two axes or by an Einstein sum. Roles: a, b. Setting: `equation` of the sum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, Formula, Options, on
from parity.diagnosis.operations.weights import reshaped_last


def _compute(o: Operands, equation: str = "") -> Tensor:
    return torch.einsum(equation, o["a"], o["b"]) if equation else o["a"] @ o["b"]


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    a, b = o.name("a"), o.name("b")
    for role, name in (("b", b), ("a", a)):
        if o[role].ndim > 1:
            yield Change(f"transposes {name}", "does not", operands=on(lambda x: x.mT, role), needs_whole_tensor=True)
            words = f"reads {name} transposed as if it were not (reshaped, not transposed)"
            yield Change(words, "as it is", operands=on(reshaped_last, role), needs_whole_tensor=True)
    if a != b:
        turned = f"multiplies {b} by {a}"
        other = partial(_with_sides_exchanged)
        yield Change(turned, f"{a} by {b}", operands=other, needs_whole_tensor=True)
    sizes = [*o.shape("a")[:0:-1], *o.shape("b")[:0:-1], *o.setting("sizes", ())]
    for n in dict.fromkeys(n for n in sizes if n > 1):
        yield Change(
            f"divides the products by sqrt({n})", "does not", result=partial(torch.mul, other=1 / math.sqrt(n))
        )
    cosines = on(partial(F.normalize, dim=-1), "a")
    yield Change("divides both by their norms (cosines)", "does not", operands=lambda o: _columns_normed(cosines(o)))
    for axis in range(o["a"].ndim - 2):
        mean = on(partial(_evened, axis), "a")
        yield Change(
            f"takes the mean of {a} over axis {axis}", "each by itself", operands=mean, needs_whole_tensor=True
        )


def _with_sides_exchanged(o: Operands) -> Operands:
    return o.having(a=o["b"].mT, b=o["a"].mT) if o["a"].shape != o["b"].shape else o.having(a=o["b"], b=o["a"])


def _columns_normed(o: Operands) -> Operands:
    return o.mapped(partial(F.normalize, dim=-2), "b")


def _evened(axis: int, x: Tensor) -> Tensor:
    return x.mean(axis, keepdim=True).expand_as(x)


OPERATIONS = {"matmul": Formula(_compute).definition(_changes)}
