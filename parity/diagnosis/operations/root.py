"""The root of x, or one over it. Role `bare`, if there: x before the setting `eps` was added. Setting: `inverse`."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, Formula, Options, on


def _compute(
    o: Operands,
    inverse: bool = False,
    eps: float = 0.0,
    outside: bool = False,
    limited: bool = False,
    root: bool = True,
) -> Tensor:
    inner = o["bare"] if (outside or limited) and "bare" in o else o["x"]
    inner = inner.clamp(min=eps) if limited else inner
    found = (inner.sqrt() if root else inner) + (eps if outside else 0.0)
    return 1 / found if inverse else found


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    if "bare" in o:
        yield Change("adds eps outside the root", "inside", {"outside": True})
        yield Change("takes eps as the least", "adds it", {"limited": True})
        yield Change("leaves eps out", "adds it", operands=lambda o: o.having(x=o["bare"]))
    yield Change("takes no root", "takes it", {"root": False})
    yield Change(
        "does not invert the root" if options["inverse"] else "divides by the root",
        "the other way round",
        {"inverse": not options["inverse"]},
    )
    yield Change("takes the root of the absolute", "of the number", operands=on(lambda x: 1 + x.abs(), "x"))


OPERATIONS = {"root": Formula(_compute).definition(_changes)}
