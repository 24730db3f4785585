"""One LSTM layer over time.

    i, f, c, o = blocks of (W x + b + R h + d);  c' = sigmoid(f) c + sigmoid(i) tanh(c);  h' = sigmoid(o) tanh(c')

Roles: x (T, B, X), weight_ih (4H, X), weight_hh (4H, H), bias_ih (4H,) and bias_hh (4H,) or none, h and c (B, H) or
none for zeros, weight_hr (P, H) if h is projected to (B, P). Settings: `output`, "y" for every step's h' (T, B, H), "h"
or "c" for the last h' or c' (B, H); `order` of the gates' blocks ("ifco").
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant
from parity.diagnosis.formula import Change, Formula, on
from parity.diagnosis.operations import recurrent
from parity.diagnosis.operations.activation import FUNCTIONS

GATES = "ifco"


def _run(
    o: Operands,
    gate: str = "sigmoid",
    candidate: str = "tanh",  # the function of the new cell input
    outer: str = "tanh",  # the function of the cell state that is given out
    forget_bias: float = 0.0,  # what is added to the forget gate's input
    coupled: str = "",  # the gate that is 1 minus the other, "f" or "i"
    ungated: str = "",  # the gate that is left out
    zoneout: float = 0.0,  # how much of the old cell state is kept beside what the gates make
    clip: float = math.inf,  # the size that the cell state is limited to
) -> dict[str, list[Tensor]]:
    """Every step's h, c and, as "outer", tanh(c) before the output gate, (B, H) each."""
    inputs, of_h = o["x"] @ o["weight_ih"].mT, o["weight_hh"].mT  # (T, B, 4H), (H, 4H)
    for bias in ("bias_ih", "bias_hh"):
        inputs = inputs + o[bias] if bias in o else inputs
    of_gates, of_new, of_cell = (FUNCTIONS[name][1] for name in (gate, candidate, outer))
    h, c = recurrent.start(o, "h"), recurrent.start(o, "c")
    steps: dict[str, list[Tensor]] = {"h": [], "c": [], "outer": []}
    for at_step in inputs.unbind(0):
        i, f, new, out = (at_step + h @ of_h).chunk(4, -1)  # (B, H) each
        i, f, out = of_gates(i), of_gates(f + forget_bias if forget_bias else f), of_gates(out)
        i, f = (1 - f if coupled == "i" else i), (1 - i if coupled == "f" else f)
        if ungated:
            i, f, out = (torch.ones_like(g) if ungated == n else g for n, g in (("i", i), ("f", f), ("o", out)))
        made = f * c + i * of_new(new)
        made = made if clip == math.inf else made.clamp(-clip, clip)
        c = zoneout * c + (1 - zoneout) * made if zoneout else made
        seen = of_cell(c)
        h = out * seen
        h = h @ o["weight_hr"].mT if "weight_hr" in o else h
        for name, tensor in (("h", h), ("c", c), ("outer", seen)):
            steps[name].append(tensor)
    return steps


def _compute(
    o: Operands, output: str = "y", order: str = GATES, given: str = "", last: int = -1, **cell: Any
) -> Tensor:
    return recurrent.given_out(_run(recurrent.with_gates(o, order, GATES), **cell), output, given, last)


LSTM = Formula(_compute)


def _changes(o: Operands, output: str, order: str) -> Iterator[Change]:
    spelled, orders = ", ".join(order), recurrent.other_orders(order)
    for other in orders:
        yield Change(f"takes its gates in the order {', '.join(other)}", spelled, {"order": other})
    yield from recurrent.shared_changes(o, "h", "c")
    if output == "y":
        yield Change("gives out the cell state c", "h", {"given": "c"})
        yield Change("gives out tanh(c) before the output gate", "after it", {"given": "outer"})
    else:
        yield from _returned(output)
    functions = {"identity": "no tanh", "sigmoid": "the sigmoid", "relu": "relu", "hard_tanh": "the hard tanh"}
    for name, words in functions.items():
        yield Change(f"applies {words} to the cell state it gives out", "tanh", {"outer": name})
    for clip in (1.0, 2.0, 3.0, 5.0, 10.0, 0.5):
        yield Change(f"limits its cell state to {clip:g}", "does not", {"clip": clip})
    yield from recurrent.function_changes("new cell input", {**functions, "identity": "no function"})
    yield Change("applies tanh to its gates", "the sigmoid", {"gate": "tanh"})
    yield Change("applies no function to its gates", "the sigmoid", {"gate": "identity"})
    yield Change("adds 1 to the forget gate's input", "nothing", {"forget_bias": 1.0})
    yield Change("subtracts 1 from the forget gate's input", "nothing", {"forget_bias": -1.0})
    yield Change("couples its gates, f = 1 - i", "has each of its own", {"coupled": "f"})
    yield Change("couples its gates, i = 1 - f", "has each of its own", {"coupled": "i"})
    for gate, words in (("i", "input"), ("f", "forget"), ("o", "output")):
        yield Change(f"has no {words} gate", "has one", {"ungated": gate})
    biases = [bias for bias in ("bias_ih", "bias_hh") if bias in o]
    alone = {"biases": biases, "recurrent weight": ["weight_hh"], "input weight": ["weight_ih"]}
    for other, (words, roles) in product(orders, alone.items()):
        description = f"takes the gates of its {words} alone in the order {', '.join(other)}"
        moved = on(partial(recurrent.reordered, other, order), *roles)
        yield Change(description, spelled, operands=moved, needs_whole_tensor=True)


def _returned(output: str) -> Iterator[Change]:
    """What else may be returned as a state, by the same run."""
    other = "c" if output == "h" else "h"
    yield Change(f"returns {other} in place of {output}", output, {"given": other})
    yield Change("returns the state after the first step", "after the last", {"last": 0})
    yield Change("returns the state before the last step", "after it", {"last": -2})
    yield Change("returns tanh(c) before the output gate", "after it", {"given": "outer"})


def _variants(o: Operands) -> Iterator[Variant]:
    output, order = o.setting("output", "y"), o.setting("order", GATES)
    if output == "y" or not recurrent.is_long(o):
        yield from LSTM.vary(o, _changes(o, output, order))
        return
    steps = _run(recurrent.with_gates(o, order, GATES))
    for c in _returned(output):
        yield Variant(c.description, c.canonical_description, partial(recurrent.given_out, steps, output, **c.options))


def _orders_and_more(o: Operands) -> Iterator[Variant]:
    """Another order of the gates, and another mistake besides: what a port from another library makes at once."""
    order = o.setting("order", GATES)
    both = [
        replace(
            change,
            description=f"takes its gates in the order {', '.join(other)} and {change.description}",
            canonical_description=f"{', '.join(order)} and {change.canonical_description}",
            options={"order": other},
            needs_whole_tensor=True,
        )
        for other, change in product(recurrent.other_orders(order), list(recurrent.shared_changes(o, "h", "c")))
    ]
    yield from LSTM.vary(o, () if recurrent.is_long(o) else both)


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    if o.setting("output", "y") == "y" or not recurrent.is_long(o):
        yield LSTM.fit(o, "forget_bias", "adds {} to the forget gate's input", "does not")
        yield LSTM.fit(o, "zoneout", "keeps {} of the old cell state beside what the gates make", "does not")


OPERATIONS = {
    "lstm": OperationDefinition(
        LSTM, _variants, recurrent.window_rule, _fitted_parameters, _orders_and_more, causal=True
    )
}
