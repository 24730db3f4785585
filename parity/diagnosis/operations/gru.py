"""One GRU layer over time, as torch and cuDNN compute it.

    r, z = sigmoid of blocks of (W x + b + R h + d);  n = tanh(W x + b + r (R h + d));  h' = (1 - z) n + z h

Roles and settings as of `parity.diagnosis.operations.lstm`, with three gates ("rzn") and no c; `output` is "y" or "h".
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, Formula, Options, exchange
from parity.diagnosis.operations import recurrent
from parity.diagnosis.operations.activation import FUNCTIONS

GATES = "rzn"


def _compute(
    o: Operands,
    output: str = "y",
    order: str = GATES,
    last: int = -1,
    gate: str = "sigmoid",
    candidate: str = "tanh",  # the function of the new state
    ungated: str = "",  # the gate that is left out
    reset_before: bool = False,  # the reset gate is applied to h, before the recurrent weight, as in the first paper
    update_inverted: bool = False,  # z weighs the new state and 1 - z the old one
    recurrent_bias_inside: bool = True,  # the reset gate applies to the recurrent bias of n, too
) -> Tensor:
    o = recurrent.with_gates(o, order, GATES)
    of_gates, of_new = FUNCTIONS[gate][1], FUNCTIONS[candidate][1]
    h, weight, none = recurrent.start(o), o["weight_hh"], torch.zeros_like(o["weight_hh"][:, 0])
    inputs = o["x"] @ o["weight_ih"].mT + o.tensors.get("bias_ih", none)  # (T, B, 3H)
    bias = o.tensors.get("bias_hh", none)
    weight_n, bias_n, steps = weight.chunk(3)[2], bias.chunk(3)[2], []
    for at_step in inputs.unbind(0):
        in_r, in_z, in_n = at_step.chunk(3, -1)  # (B, H) each
        on_r, on_z, on_n = (h @ weight.mT + bias).chunk(3, -1)
        r, z = of_gates(in_r + on_r), of_gates(in_z + on_z)
        r, z = (torch.ones_like(g) if ungated == n else g for n, g in (("r", r), ("z", z)))
        if reset_before:
            recurred = (r * h) @ weight_n.mT + bias_n
        else:
            recurred = r * on_n if recurrent_bias_inside else r * (on_n - bias_n) + bias_n
        new = of_new(in_n + recurred)
        h = z * new + (1 - z) * h if update_inverted else (1 - z) * new + z * h
        steps.append(h)
    return recurrent.given_out({"h": steps}, output, last=last)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    order, spelled = options["order"], ", ".join(options["order"])
    for other in recurrent.other_orders(order):
        yield Change(f"takes its gates in the order {', '.join(other)}", spelled, {"order": other})
    yield Change("applies the reset gate before the recurrent weight", "after it", {"reset_before": True})
    bias = "keeps the recurrent bias of n out of the reset gate"
    yield Change(bias, "within it", {"recurrent_bias_inside": False})
    yield Change("weighs the new state by z and the old by 1 - z", "the old by z", {"update_inverted": True})
    yield Change("has no reset gate", "has one", {"ungated": "r"})
    yield Change("has no update gate", "has one", {"ungated": "z"})
    functions = {"sigmoid": "the sigmoid", "relu": "relu", "identity": "no function"}
    yield from recurrent.function_changes("new state", functions)
    if options["output"] == "h":
        yield Change("returns the state after the first step", "after the last", {"last": 0})
    if "bias_ih" in o and "bias_hh" in o:  # an LSTM adds them up
        yield Change("exchanges the two biases", "does not", operands=exchange(("bias_ih", "bias_hh")))
    yield from recurrent.shared_changes(o, "h")
    both = {"order": order.translate(str.maketrans("rz", "zr")), "update_inverted": True}
    yield Change("takes its gates in the order of z and r exchanged and weighs by 1 - z", spelled, both)


OPERATIONS = {"gru": Formula(_compute).definition(_changes, window_rule=recurrent.window_rule, causal=True)}
