"""One GRU layer over time, as torch and cuDNN compute it.

    r, z = sigmoid of blocks of (W x + b + R h + d);  n = tanh(W x + b + r (R h + d));  h' = (1 - z) n + z h

Roles and settings as of `parity.diagnosis.operations.lstm`, with three gates ("rzn") and no c; `output` is "y" or "h".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from parity.diagnosis.definition import Change, Operands, OperationDefinition, Variant, vary
from parity.diagnosis.operations.activation import FUNCTIONS
from parity.diagnosis.operations.recurrent import RecurrentOptions, function_changes, read, shared_changes, window_rule

GATES = "rzn"


@dataclass(frozen=True)
class Options(RecurrentOptions):
    """How the layer is computed."""

    biases_exchanged: bool = False
    reset_before: bool = False
    """Whether the reset gate is applied to h, before the recurrent weight, as in the first paper."""
    update_inverted: bool = False
    """Whether z weighs the new state and 1 - z the old one."""
    recurrent_bias_inside: bool = True
    """Whether the reset gate applies to the recurrent bias of n, too."""


def compute(o: Operands, options: Options) -> Tensor:
    """(T, B, H), or (B, H) for the state."""
    if options.biases_exchanged:
        o = o.having(bias_ih=o["bias_hh"], bias_hh=o["bias_ih"])
    w = read(o, options)
    width = w.recurrent.shape[-1]
    places = [options.order.index(gate) for gate in GATES]
    inputs = w.x @ w.inputs.mT  # (T, B, 3H)
    if w.bias_ih is not None:
        inputs = inputs + w.bias_ih
    recurrent_bias = torch.zeros_like(inputs[0, 0]) if w.bias_hh is None else w.bias_hh  # (3H,)
    rows = [slice(place * width, (place + 1) * width) for place in places]
    gate, candidate = FUNCTIONS[options.gate][1], FUNCTIONS[options.candidate][1]
    h, steps = w.h, []
    for at_step in inputs.unbind(0):
        in_r, in_z, in_n = (at_step[..., block] for block in rows)  # (B, H) each
        on_h = h @ w.recurrent.mT  # (B, 3H)
        r, z = gate(in_r + (on_h + recurrent_bias)[..., rows[0]]), gate(in_z + (on_h + recurrent_bias)[..., rows[1]])
        r, z = (torch.ones_like(g) if options.ungated == n else g for n, g in (("r", r), ("z", z)))
        bias = recurrent_bias[rows[2]]
        if options.reset_before:
            recurred = (r * h) @ w.recurrent[rows[2]].mT + bias
        elif options.recurrent_bias_inside:
            recurred = r * (on_h[..., rows[2]] + bias)
        else:
            recurred = r * on_h[..., rows[2]] + bias
        new = candidate(in_n + recurred)
        h = z * new + (1 - z) * h if options.update_inverted else (1 - z) * new + z * h
        steps.append(h)
    return options.given_out({"h": steps})


def _options(o: Operands) -> Options:
    return Options(o.setting("output", "y"), o.setting("order", GATES))


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    spelled = ", ".join(options.order)
    for order in permutations(GATES):
        yield Change(f"takes its gates in the order {', '.join(order)}", spelled, {"order": "".join(order)})
    yield Change("applies the reset gate before the recurrent weight", "after it", {"reset_before": True})
    bias = "keeps the recurrent bias of n out of the reset gate"
    yield Change(bias, "within it", {"recurrent_bias_inside": False})
    yield Change("weighs the new state by z and the old by 1 - z", "the old by z", {"update_inverted": True})
    yield Change("has no reset gate", "has one", {"ungated": "r"})
    yield Change("has no update gate", "has one", {"ungated": "z"})
    functions = {"sigmoid": "the sigmoid", "relu": "relu", "identity": "no function"}
    yield from function_changes("new state", functions)
    if options.output == "h":
        yield Change("returns the state after the first step", "after the last", {"last": "first"})
    if "bias_ih" in o and "bias_hh" in o:  # an LSTM adds them up
        yield Change("exchanges the two biases", "does not", {"biases_exchanged": True})
    yield from shared_changes(o, ("h",))
    both = {"order": options.order.translate(str.maketrans("rz", "zr")), "update_inverted": True}
    yield Change("takes its gates in the order of z and r exchanged and weighs by 1 - z", spelled, both)


def _variants(o: Operands) -> Iterator[Variant]:
    options = _options(o)
    yield from vary(compute, o, options, _changes(o, options))


GRU = OperationDefinition(lambda o: compute(o, _options(o)), _variants, window_rule, causal=True)
