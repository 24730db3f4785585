"""Attention's scores with a bias for each distance of query and key, or with more of them hidden.

Of the axes (..., query, key) the last keys are the queries' own steps: K - T rows of memory come first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.constants import named
from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import Goal
from parity.diagnosis.matching import TIGHT, scale
from parity.diagnosis.variants.site import Site

OPERATIONS = ("masked", "filled", "attention_scale")
FEWEST = 4
"""Scores for every number that is fitted."""


def scores(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Variants of an operation that gives scores, for a goal that is its own result."""
    if goal is None or goal.key != site.node or site.operation.name not in OPERATIONS:
        return
    x, given = site.result, goal.tensor
    if x.shape != given.shape or x.ndim < 3 or not site.interpreter.window.covers_all:
        return
    yield from _hiding_more(x, given)
    if not torch.equal(x.isfinite(), given.isfinite()):
        return
    for words, heads in (("", False), (" and head", True)):
        yield from _biased(site, x, given, words, heads)


def _distances(x: Tensor) -> Tensor:
    """How many steps each key is before its query, (T, K)."""
    steps, keys = x.shape[-2:]
    return torch.arange(steps)[:, None] + keys - steps - torch.arange(keys)


def _hiding_more(x: Tensor, given: Tensor) -> Iterator[Variant]:
    """-inf in further places, the same of all sequences and heads."""
    more = x.isfinite() & (given == -math.inf)
    places = more.flatten(0, -3)
    if not more.any() or not bool((places == places[0]).all()):
        return
    hidden, shown = places[0], x.isfinite().flatten(0, -3)[0]
    yield Variant(
        f"hides more scores{_which(hidden, shown, _distances(x))}",
        "does not",
        lambda: torch.where(more, -math.inf, x),
    )


def _which(hidden: Tensor, shown: Tensor, distances: Tensor) -> str:
    """Which of the scores that are shown are hidden, in words, where a rule says it; all are (T, K)."""
    steps, keys = hidden.shape
    gone = {int(d) for d in distances[hidden]}
    kept = {int(d) for d in distances[shown & ~hidden]}
    if not gone & kept:
        if min(gone) > max(kept, default=-1):
            return f": all {max(kept, default=-1) + 1} and more steps before the query's"
        if all(d % 2 for d in gone) and not any(d % 2 for d in kept):
            return ": every second, beginning with the one before the query's"
        return ", by their distance from the query's"
    columns = hidden.all(0) | ~shown.any(0)
    if torch.equal(hidden, columns & shown):
        of_memory = not columns[keys - steps :].any()
        return f": the same keys for all queries{', of the memory alone' if of_memory else ''}"
    return ""


def _biased(site: Site, x: Tensor, given: Tensor, of_each: str, heads: bool) -> Iterator[Variant]:
    distances, finite = _distances(x).expand(x.shape), x.isfinite()
    groups = distances - distances.min()
    if heads:
        count = x.shape[-3]
        if count < 2:
            return
        groups = groups + torch.arange(count)[:, None, None] * (int(groups.max()) + 1)
    found, index = torch.unique(groups[finite], return_inverse=True)
    if finite.sum() < FEWEST * len(found):
        return
    gap = (given - x)[finite]
    means = torch.zeros(len(found), dtype=x.dtype).index_add_(0, index, gap)
    means = (means / index.bincount())[index]
    if float((gap - means).abs().max()) > TIGHT * scale(given) or scale(means) <= TIGHT * scale(given):
        return
    added = torch.zeros_like(x)
    added[finite] = means
    words = f"adds a number of its own for each distance of query and key{of_each} (a relative position bias)"
    far = distances[finite].to(x.dtype)
    slope = float((far * gap).sum() / far.square().sum())
    if not heads and float((gap - slope * far).abs().max()) <= TIGHT * scale(given):
        words = f"adds {named(slope, ())} for every step that a key is before its query (ALiBi)"
    yield Variant(words, "does not", partial(torch.add, x, added))
