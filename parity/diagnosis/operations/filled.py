"""A mask put on: x where it shows, a number where it hides; or that number added there.

Roles: x (..., T, K), mask, true where it hides, of a shape that x's is broadcast with. Settings: `value`; `added`;
`shows`, if the mask is true where it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands
from parity.diagnosis.formula import Change, Formula, Options, having

VALUES = (-math.inf, -1e4, -65504.0, -1e9, -100.0, -10.0, -1.0, 1.0, 0.0)
MOST_ROWS = 32


def _compute(o: Operands, value: float = -math.inf, added: bool = False, shows: bool = False) -> Tensor:
    hidden = _hidden(o, shows)
    return torch.where(hidden, o["x"] + value if added else value, o["x"])


FILLED = Formula(_compute)


def _hidden(o: Operands, shows: bool) -> Tensor:
    return (o["mask"] == 0) if shows else (o["mask"] != 0)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    x, mask = o["x"], _hidden(o, options["shows"])
    yield Change(
        "leaves the mask out", "applies it", options={"shows": False}, operands=having(mask=torch.zeros_like(mask))
    )
    yield Change(
        "hides what the mask shows and shows what it hides",
        "does not",
        options={"shows": False},
        operands=having(mask=~mask),
    )
    for value in VALUES:
        yield Change(f"puts {value:g} for what is hidden", f"{options['value']:g}", {"value": value, "added": False})
        if math.isfinite(value) and value:
            words = f"adds {value:g} to what is hidden"
            yield Change(words, f"{options['value']:g}", {"value": value, "added": True})
    seen = [mask.expand_as(x), torch.zeros_like(x, dtype=torch.bool), ~mask.expand_as(x)]
    for description, other in _other_masks(x, mask):
        if not any(torch.equal(other.expand_as(x), earlier) for earlier in seen):
            seen.append(other.expand_as(x))
            yield Change(f"has a mask that {description}", "has its own", {"shows": False}, having(mask=other))


def _other_masks(x: Tensor, mask: Tensor) -> Iterator[tuple[str, Tensor]]:
    steps, keys = x.shape[-2:]
    for k in (1, 2, 3):
        for sign, words in ((k, "later"), (-k, "earlier")):
            if mask.ndim > 1 and k < keys:
                yield f"begins {k} {'key' if k == 1 else 'keys'} {words} (diagonal off by {sign})", _shifted(mask, sign)
    if mask.ndim > 1 and mask.shape[-1] == mask.shape[-2]:
        yield "is transposed (hides the past in place of the future)", mask.mT
    yield "is turned round from the last step to the first", mask.flip(-2) if mask.ndim > 1 else mask
    yield "is turned round from the last key to the first", mask.flip(-1)
    causal = torch.ones(steps, keys, dtype=torch.bool).triu(1 + max(keys - steps, 0))
    yield "hides the future (a causal mask)", causal
    yield "hides the future, too", mask | causal
    for rows in range(1, min(keys, MOST_ROWS)):
        yield f"shows the last {rows} keys alone", causal | ~causal.new_ones(steps, keys).triu(1 - rows)


def _shifted(mask: Tensor, by: int) -> Tensor:
    """The columns moved, with what is at the border for those that are missing."""
    places = (torch.arange(mask.shape[-1]) - by).clamp(0, mask.shape[-1] - 1)
    return mask.index_select(-1, places)


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    own = FILLED.options(o)
    for added, words in ((False, "puts {} for what is hidden"), (True, "adds {} to what is hidden")):
        start = own["value"] if math.isfinite(own["value"]) else -5.0
        formula = partial(lambda added, value: FILLED(o, value=value, added=added), added)
        yield FittedParameter(words, f"{own['value']:g}", start, formula)


OPERATIONS = {"filled": FILLED.definition(_changes, fitted_parameters=_fitted_parameters)}
