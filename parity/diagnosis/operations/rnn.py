"""One plain recurrent layer over time: h' = tanh(W x + b + R h + d).

Roles and settings as of `parity.diagnosis.operations.lstm`, without gates and c; `function`, "tanh" or "relu"; `output`
is "y" or "h".
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, Formula, Options
from parity.diagnosis.operations import recurrent
from parity.diagnosis.operations.activation import FUNCTIONS


def _compute(o: Operands, output: str = "y", function: str = "tanh", last: int = -1) -> Tensor:
    h, none = recurrent.start(o), torch.zeros_like(o["weight_hh"][:, 0])
    inputs = o["x"] @ o["weight_ih"].mT + o.tensors.get("bias_ih", none) + o.tensors.get("bias_hh", none)
    steps, of = [], FUNCTIONS[function][1]
    for at_step in inputs.unbind(0):
        h = of(at_step + h @ o["weight_hh"].mT)
        steps.append(h)
    return recurrent.given_out({"h": steps}, output, last=last)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    own = FUNCTIONS[options["function"]][0]
    for name in ("tanh", "relu", "sigmoid", "identity", "gelu_erf", "silu", "hard_tanh"):
        yield Change(f"applies {FUNCTIONS[name][0]}", own, {"function": name})
    if options["output"] == "h":
        yield Change("returns the state after the first step", "after the last", {"last": 0})
    yield from recurrent.shared_changes(o, "h")


OPERATIONS = {"rnn": Formula(_compute).definition(_changes, window_rule=recurrent.window_rule, causal=True)}
