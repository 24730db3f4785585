"""A fixed number for every row of an axis, added or multiplied, where nothing that is known explains it.

A bias or a gain that only the reference's program knows shows so: one vector, the same at all other places.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import Goal
from parity.diagnosis.variants.site import Site, axis_names
from parity.diagnosis.variants.transforms import ENOUGH

MOST_COMPARED = 2**22
"""Rows of a table times ids that are compared."""
SHOWN = 6
LEAST = 1e-9
"""Of the largest number: what a row that is left alone may be off by."""
FEWEST = 4
"""Places for every number that is fitted."""


def vectors(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """The result with a vector along one axis added, multiplied, or both, fitted to the operation's own goal."""
    if goal is None or goal.key != site.node or site.operation.name == "parameter":
        return
    x, given = site.result, goal.tensor
    if site.operation.name == "embedding":
        yield from _looked_up(site, given)
    if not x.is_floating_point() or x.shape != given.shape or not bool(x.isfinite().all() & given.isfinite().all()):
        return
    names = axis_names(site.scene, site.node, x.ndim)
    for axis in range(x.ndim - 1, -1, -1):
        others = [other for other in range(x.ndim) if other != axis]
        places = x.numel() // max(x.shape[axis], 1)
        if places < FEWEST or x.numel() < ENOUGH:
            continue
        bias = (given - x).mean(others, keepdim=True)
        square = x.square().sum(others, keepdim=True)
        gain = torch.where(square > 0, (x * given).sum(others, keepdim=True) / square, 1.0)
        row = f"each row of {names[axis]}"
        values = {
            f"adds a number of its own to {row} (a bias)": x + bias,
            f"multiplies {row} by a number of its own (a gain)": x * gain,
        }
        if places >= 2 * FEWEST:
            both = f"multiplies {row} by a number of its own and adds another (a gain and a bias)"
            values[both] = _fitted(x, given, others)
        for words, value in values.items():
            if not _leaves_most(x, value, others):
                yield Variant(words, "does not", value.clone)


def _leaves_most(x: Tensor, value: Tensor, others: list[int]) -> bool:
    """Whether most rows stay as they are: then what happens to the others is told, not that they have numbers."""
    moved = (value - x).abs().amax(others) if others else (value - x).abs()
    return 2 * int((moved <= LEAST * float(x.abs().max())).sum()) >= moved.numel()


def _looked_up(site: Site, given: Tensor) -> Iterator[Variant]:
    """The rows of the table that were taken, whatever the ids."""
    ids, table = site.operands["ids"], site.operands["weight"]
    if given.shape != (*ids.shape, table.shape[1]) or table.shape[0] * ids.numel() > MOST_COMPARED:
        return
    rows = torch.cdist(given.reshape(-1, table.shape[1]), table).argmin(1).reshape(ids.shape)
    differing = rows != ids
    here, there = (", ".join(map(str, which[differing][:SHOWN].tolist())) for which in (ids, rows))
    words = f"takes rows {there}{', ...' if int(differing.sum()) > SHOWN else ''} where the ids are {here} (other ids)"
    yield Variant(words, "the ids' own", lambda: table[rows])


def _fitted(x: Tensor, given: Tensor, others: list[int]) -> Tensor:
    """The line through x that is nearest to `given`, for each row."""
    middle, aim = x - x.mean(others, keepdim=True), given - given.mean(others, keepdim=True)
    square = middle.square().sum(others, keepdim=True)
    slope = torch.where(square > 0, (middle * aim).sum(others, keepdim=True) / square, 1.0)
    return slope * middle + given.mean(others, keepdim=True)
