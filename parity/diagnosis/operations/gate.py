"""A gate: sigmoid(f) tanh(c), the two the halves of x, (..., 2H) -> (..., H). Setting: `order` of the halves ("cf")."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, rowwise
from parity.diagnosis.formula import Change, Formula, Options, on, unchanged
from parity.diagnosis.operations.activation import FUNCTIONS

Function = Callable[[Tensor], Tensor]


def _compute(
    o: Operands,
    order: str = "cf",
    of_c: Function = torch.tanh,
    of_f: Function = torch.sigmoid,
    joined: Callable[[Tensor, Tensor], Tensor] = torch.mul,
) -> Tensor:
    halves = dict(zip(order, o["x"].chunk(2, -1), strict=True))
    return joined(of_f(halves["f"]), of_c(halves["c"]))


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    order = options["order"]
    words = f"takes its halves in the order {', '.join(reversed(order))}"
    yield Change(words, ", ".join(order), {"order": order[::-1]})
    yield Change("leaves the sigmoid factor out", "multiplies by it", {"of_f": torch.ones_like})
    yield Change("leaves the tanh factor out", "multiplies by it", {"of_c": torch.ones_like})
    likely = ("identity", "sigmoid", "relu", "hard_tanh", "gelu_sigmoid", "silu")
    for name in dict.fromkeys((*likely, *(other for other in FUNCTIONS if other not in ("tanh", "softmax")))):
        words, function = FUNCTIONS[name]
        yield Change(f"applies {words} to c", "tanh", {"of_c": function})
    likely = ("identity", "tanh", "relu", "hard_sigmoid", "half_tanh", "complement")
    for name in dict.fromkeys((*likely, *(other for other in FUNCTIONS if other not in ("sigmoid", "softmax")))):
        words, function = FUNCTIONS[name]
        yield Change(f"applies {words} to f", "the sigmoid", {"of_f": function})
    yield Change("adds sigmoid(f) and tanh(c)", "multiplies them", {"joined": torch.add})
    yield Change("multiplies c and f as they are", "sigmoid(f) and tanh(c)", dict.fromkeys(("of_c", "of_f"), unchanged))
    yield Change("multiplies by 1 + tanh(c)", "by tanh(c)", {"of_c": lambda c: 1 + torch.tanh(c)})
    words = "takes c and f from every other number"
    woven = on(lambda x: torch.cat([x[..., 0::2], x[..., 1::2]], -1), "x")
    yield Change(words, "from the two halves", {"order": "cf"}, woven)
    yield Change(f"{words}, f first", "from the two halves", {"order": "fc"}, woven)


OPERATIONS = {"gate": Formula(_compute).definition(_changes, window_rule=rowwise("x", mixes=1))}
