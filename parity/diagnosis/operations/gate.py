"""A gate: sigmoid(f) tanh(c), the two the halves of x, (..., 2H) -> (..., H). Setting: `order` of the halves ("cf")."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, for_each, rowwise
from parity.diagnosis.operations.activation import FUNCTIONS


def _halves(o: Operands) -> tuple[Tensor, Tensor]:
    """c and f."""
    first, second = o["x"].chunk(2, -1)
    return (first, second) if o.setting("order", "cf") == "cf" else (second, first)


def _compute(o: Operands) -> Tensor:
    c, f = _halves(o)
    return torch.sigmoid(f) * torch.tanh(c)


def _variants(o: Operands) -> Iterator[Variant]:
    c, f = _halves(o)
    order = ", ".join(o.setting("order", "cf"))
    swapped = ", ".join(reversed(o.setting("order", "cf")))
    yield Variant(f"takes its halves in the order {swapped}", order, lambda: torch.sigmoid(c) * torch.tanh(f))
    yield Variant("leaves the sigmoid factor out", "multiplies by it", lambda: torch.tanh(c))
    yield Variant("leaves the tanh factor out", "multiplies by it", lambda: torch.sigmoid(f))
    for name in ("identity", "sigmoid", "relu", "hard_tanh", "gelu_sigmoid", "silu"):
        words, g = FUNCTIONS[name]
        yield from for_each([g], f"applies {words} to c", "tanh", lambda g: torch.sigmoid(f) * g(c))
    for name in ("identity", "tanh", "relu", "hard_sigmoid", "half_tanh", "complement"):
        words, g = FUNCTIONS[name]
        yield from for_each([g], f"applies {words} to f", "the sigmoid", lambda g: g(f) * torch.tanh(c))
    yield Variant("adds sigmoid(f) and tanh(c)", "multiplies them", lambda: torch.sigmoid(f) + torch.tanh(c))
    yield Variant("multiplies c and f as they are", "sigmoid(f) and tanh(c)", lambda: f * c)
    yield Variant("multiplies by 1 + tanh(c)", "by tanh(c)", lambda: torch.sigmoid(f) * (1 + torch.tanh(c)))
    woven_c, woven_f = o["x"][..., 0::2], o["x"][..., 1::2]
    words = "takes c and f from every other number"
    yield Variant(words, "from the two halves", lambda: torch.sigmoid(woven_f) * torch.tanh(woven_c))
    yield Variant(f"{words}, f first", "from the two halves", lambda: torch.sigmoid(woven_c) * torch.tanh(woven_f))


OPERATIONS = {"gate": OperationDefinition(_compute, _variants, rowwise("x", mixes=1))}
