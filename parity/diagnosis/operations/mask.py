"""The causal mask, and putting it on.

`causal_mask`: (T, M + T), 0 over the M memory rows and the past, -inf over the future; T and M are the lengths of the
roles `new` and `memory` (none: M = 0). `masked`: x (..., T, K) plus the role `mask` (T, K).
"""

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant, for_each, rowwise

CAUSAL = "what is before a step and itself"
SAID_OTHERWISE = ("hides nothing", "hides the visible and shows the hidden")
"""Masks whose sums have words of their own: "leaves the mask out", "puts -inf for visible scores"."""
MOST_ROWS = 32
"""Widths of a window of keys that are tried."""
LARGE = (-1e4, -65504.0, -1e5, -1e6, -1e9, -1e30, torch.finfo(torch.float32).min, -100.0, -10.0)


def _filled(steps: int, memory: int, like: Tensor, beyond: int = 0, value: float = -math.inf) -> Tensor:
    """`value` from `beyond` columns past the first future one on."""
    mask = torch.full((steps, memory + steps), value, dtype=like.dtype)
    return mask.triu_(memory + 1 + beyond)


def _other_masks(steps: int, memory: int, like: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Every other mask, with what it does."""
    causal = _filled(steps, memory, like)
    for k in (1, 2, 3):
        after = "the step" if k == 1 else f"the {k} steps"
        yield f"lets a step see {after} after it (diagonal off by {k})", _filled(steps, memory, like, k)
        own = "itself" if k == 1 else f"itself and the {k - 1} before it"
        yield f"hides from a step {own} (diagonal off by {-k})", _filled(steps, memory, like, -k)
    yield "hides nothing", torch.zeros_like(causal)
    if memory:
        hidden = torch.full((steps, memory), -math.inf, dtype=like.dtype)
        new = causal[:, memory:]
        yield "hides the memory, too", torch.cat([hidden, new], 1)
        yield "hides the memory alone", torch.cat([hidden, torch.zeros_like(new)], 1)
        yield "counts the diagonal from the oldest memory row", _filled(steps, memory, like, -memory)
        yield "puts the memory's columns after the new ones", torch.cat([new, torch.zeros_like(hidden)], 1)
        yield "hides the past of the new rows in place of the future", torch.cat([torch.zeros_like(hidden), new.mT], 1)
        yield "hides all new rows", torch.cat([torch.zeros_like(hidden), torch.full_like(new, -math.inf)], 1)
    else:
        yield "hides the past in place of the future (the mask is transposed)", causal.mT
    for rows in range(1, min(memory + steps, MOST_ROWS)):
        seen = torch.ones_like(causal).tril(memory).triu(memory + 1 - rows) == 1
        yield f"shows the last {rows} keys alone", torch.where(seen, 0.0, -math.inf).to(like.dtype)
    yield "hides the visible and shows the hidden", torch.where(causal == 0, -math.inf, 0.0).to(like.dtype)
    yield "is turned round from the last step to the first", causal.flip(0)
    yield "is turned round from the last key to the first", causal.flip(1)


def _lengths(o: Operands) -> tuple[int, int]:
    return o.shape("new")[0], o.shape("memory")[0] if "memory" in o else 0


def _causal(o: Operands, value: float = -math.inf) -> Tensor:
    return _filled(*_lengths(o), o["new"], value=value)


def _causal_variants(o: Operands) -> Iterator[Variant]:
    steps, memory = _lengths(o)
    for description, mask in _other_masks(steps, memory, o["new"]):
        zeros = not bool(mask.any())
        yield Variant(f"has a mask that {description}", f"shows {CAUSAL}", partial(torch.clone, mask), zeros=zeros)
    yield from for_each(LARGE, "puts {:g} for hidden keys", "-inf", partial(_causal, o))
    causal = _causal(o)
    yield Variant("has 1 for visible and 0 for hidden keys", "0 and -inf", lambda: (causal == 0).to(causal.dtype))
    yield Variant("has 0 for visible and 1 for hidden keys", "0 and -inf", lambda: (causal != 0).to(causal.dtype))


def _masked_variants(o: Operands) -> Iterator[Variant]:
    x, mask = o["x"], o["mask"]
    yield Variant("leaves the mask out", "adds it", lambda: x.clone())
    steps, keys = o.shape("mask")
    for description, other in _other_masks(steps, keys - steps, mask):
        if description not in SAID_OTHERWISE:
            words = f"adds a mask that {description}"
            yield Variant(words, f"shows {CAUSAL}", partial(torch.add, x, other), needs_whole_tensor=True)
    for value in (*LARGE, 0.0):
        yield Variant(f"puts {value:g} for hidden scores", "-inf", partial(_hidden_as, x, mask, value))
        if -1e30 < value < 0:  # beyond that, the sum is the value itself
            yield Variant(f"adds {value:g} to hidden scores", "-inf", partial(_hidden_as, x, mask, x + value))
    yield Variant("multiplies by the mask", "adds it", lambda: x * mask)
    yield Variant("puts -inf for visible scores", "for hidden ones", lambda: torch.where(mask == 0, -math.inf, x))


def _hidden_as(x: Tensor, mask: Tensor, hidden: Tensor | float) -> Tensor:
    """x where it is visible, and something else where it is not."""
    return torch.where(mask == 0, x, hidden)


def _masked_fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    x, mask = o["x"], o["mask"]
    yield FittedParameter("puts {} for hidden scores", "-inf", 0.0, partial(_hidden_as, x, mask))
    yield FittedParameter("adds {} to hidden scores", "-inf", 0.0, lambda value: _hidden_as(x, mask, x + value))


OPERATIONS = {
    "causal_mask": OperationDefinition(_causal, _causal_variants, lambda settings, axis: {}),
    "masked": OperationDefinition(
        lambda o: o["x"] + o["mask"], _masked_variants, rowwise("x", "mask"), _masked_fitted_parameters
    ),
}
