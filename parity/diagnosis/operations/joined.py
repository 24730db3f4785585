"""Tensors one after another along an axis, or along a new one. Roles: "0", "1", ...; settings: `axis`, `stacked`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, Formula, Options


def _compute(o: Operands, axis: int = 0, stacked: bool = False) -> Tensor:
    parts = [o[str(i)] for i in range(len(o.tensors))]
    return torch.stack(parts, axis) if stacked else torch.cat(parts, axis)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    roles = [*o.tensors]
    if len(roles) > 2:
        words = "puts them last to first"
        yield Change(words, "first to last", operands=partial(_permuted, tuple(roles[::-1])), needs_whole_tensor=True)
    for i, j in combinations(range(len(roles)), 2):
        order = [*roles]
        order[i], order[j] = order[j], order[i]
        if torch.equal(o[roles[i]], o[roles[j]]) if o[roles[i]].shape == o[roles[j]].shape else False:
            continue
        words = f"puts {o.name(roles[i])} and {o.name(roles[j])} in each other's place"
        if not (len(roles) == 3 and (i, j) == (0, 2)):
            yield Change(words, "does not", operands=partial(_permuted, tuple(order)), needs_whole_tensor=True)
    for role in roles:
        if o[role].is_floating_point():
            words = f"turns the sign of {o.name(role)}"
            yield Change(words, "does not", operands=partial(_negated, role))
        words = f"puts zeros for {o.name(role)}"
        yield Change(words, "itself", operands=partial(_zeroed, role))
        other = f"reverses {o.name(role)} along the axis of joining"
        if not options["stacked"] and o[role].shape[options["axis"]] > 1:
            turned = partial(_reversed, role, options["axis"])
            yield Change(other, "does not", operands=turned, needs_whole_tensor=True)
    result = partial(_woven, len(roles), options["axis"])
    if not options["stacked"] and len({o[role].shape for role in roles}) == 1:
        yield Change(
            "takes a row of each in turn (interleaved)", "one after another", result=result, needs_whole_tensor=True
        )


def _permuted(order: tuple[str, ...], o: Operands) -> Operands:
    return o.having(**{role: o[other] for role, other in zip(o.tensors, order, strict=True)})


def _zeroed(role: str, o: Operands) -> Operands:
    return o.mapped(torch.zeros_like, role)


def _negated(role: str, o: Operands) -> Operands:
    return o.mapped(torch.neg, role)


def _reversed(role: str, axis: int, o: Operands) -> Operands:
    return o.mapped(partial(torch.flip, dims=(axis,)), role)


def _woven(count: int, axis: int, x: Tensor) -> Tensor:
    rows = torch.arange(x.shape[axis]).reshape(count, -1).mT.flatten()
    return x.index_select(axis, rows)


OPERATIONS = {"joined": Formula(_compute).definition(_changes)}
