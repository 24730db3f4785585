"""One LSTM layer over time.

    i, f, c, o = blocks of (W x + b + R h + d);  c' = sigmoid(f) c + sigmoid(i) tanh(c);  h' = sigmoid(o) tanh(c')

Roles: x (T, B, X), weight_ih (4H, X), weight_hh (4H, H), bias_ih (4H,) and bias_hh (4H,) or none, h and c (B, H) or
none for zeros. Settings: `output`, "y" for every step's h' (T, B, H), "h" or "c" for the last h' or c' (B, H); `order`
of the gates' blocks ("ifco").
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations, product

import torch
from torch import Tensor

from parity.diagnosis.definition import Change, FittedParameter, Operands, OperationDefinition, Variant, vary
from parity.diagnosis.operations.activation import FUNCTIONS
from parity.diagnosis.operations.recurrent import (
    RecurrentOptions,
    function_changes,
    is_long,
    read,
    shared_changes,
    window_rule,
)

GATES = "ifco"


@dataclass(frozen=True)
class Options(RecurrentOptions):
    """How the layer is computed."""

    biases_in: str = ""
    """Another order for the biases alone."""
    recurrent_in: str = ""
    """Another order for the recurrent weight alone."""
    inputs_in: str = ""
    """Another order for the input weight alone."""
    outer: str = "tanh"
    """The function of the cell state that is given out."""
    forget_bias: float = 0.0
    """What is added to the forget gate's input."""
    coupled: str = ""
    """The gate that is 1 minus the other: "f" or "i"."""
    gives: str = "h"
    """What is given out at every step: "h", "c", or "outer" for tanh(c') before the output gate."""
    zoneout: float = 0.0
    """How much of the old cell state is kept beside what the gates make."""
    clip: float = math.inf
    """The size that the cell state is limited to."""
    returns: str = ""
    """Which of h, c and "outer" is returned as state, if not the one asked for."""


def compute(o: Operands, options: Options) -> Tensor:
    """(T, B, H), or (B, H) for a state."""
    return _given_out(_run(o, options), options)


def _run(o: Operands, options: Options) -> dict[str, list[Tensor]]:
    """Every step's h, c and tanh(c), (B, H) each."""
    w = read(o, options)
    width = w.recurrent.shape[-1]
    inputs, recurrent = w.x @ w.inputs.mT, w.recurrent.mT  # (T, B, 4H), (H, 4H)
    inputs = _ordered(inputs, options.inputs_in or options.order, width)
    recurrent = _ordered(recurrent, options.recurrent_in or options.order, width)
    if w.bias is not None:
        inputs = inputs + _ordered(w.bias, options.biases_in or options.order, width)
    gate, candidate, outer = (FUNCTIONS[name][1] for name in (options.gate, options.candidate, options.outer))
    h, c = w.h, w.c
    steps: dict[str, list[Tensor]] = {"h": [], "c": [], "outer": []}
    for at_step in inputs.unbind(0):
        i, f, new, out = (at_step + h @ recurrent).chunk(4, -1)  # (B, H) each
        i, f, out = gate(i), gate(f + options.forget_bias), gate(out)
        i, f = (1 - f if options.coupled == "i" else i), (1 - i if options.coupled == "f" else f)
        i, f, out = (torch.ones_like(g) if options.ungated == n else g for n, g in (("i", i), ("f", f), ("o", out)))
        c = options.zoneout * c + (1 - options.zoneout) * (f * c + i * candidate(new)).clamp(
            -options.clip, options.clip
        )
        h = out * outer(c)
        for name, tensor in (("h", h), ("c", c), ("outer", outer(c))):
            steps[name].append(tensor)
    return steps


def _given_out(steps: dict[str, list[Tensor]], options: Options) -> Tensor:
    return options.given_out(steps, options.gives if options.output == "y" else options.returns or options.output)


def _ordered(blocks: Tensor, order: str, width: int) -> Tensor:
    """The last axis' four blocks, which lie in `order`, as i, f, c, o."""
    if order == GATES:
        return blocks
    return torch.cat([blocks.narrow(-1, order.index(gate) * width, width) for gate in GATES], -1)


def _options(o: Operands) -> Options:
    return Options(o.setting("output", "y"), o.setting("order", GATES))


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    spelled = ", ".join(options.order)
    orders = _other_orders(options)
    for order in orders:
        yield Change(f"takes its gates in the order {', '.join(order)}", spelled, {"order": order})
    yield from shared_changes(o, ("h", "c"))
    yield from _returned(options)
    yield Change("gives out the cell state c", "h", {"gives": "c"})
    yield Change("gives out tanh(c) before the output gate", "after it", {"gives": "outer"})
    functions = {"identity": "no tanh", "sigmoid": "the sigmoid", "relu": "relu", "hard_tanh": "the hard tanh"}
    for name, words in functions.items():
        yield Change(f"applies {words} to the cell state it gives out", "tanh", {"outer": name})
    for clip in (1.0, 2.0, 3.0, 5.0, 10.0, 0.5):
        yield Change(f"limits its cell state to {clip:g}", "does not", {"clip": clip})
    yield from function_changes("new cell input", {**functions, "identity": "no function"})
    yield Change("applies tanh to its gates", "the sigmoid", {"gate": "tanh"})
    yield Change("applies no function to its gates", "the sigmoid", {"gate": "identity"})
    yield Change("adds 1 to the forget gate's input", "nothing", {"forget_bias": 1.0})
    yield Change("subtracts 1 from the forget gate's input", "nothing", {"forget_bias": -1.0})
    yield Change("couples its gates, f = 1 - i", "has each of its own", {"coupled": "f"})
    yield Change("couples its gates, i = 1 - f", "has each of its own", {"coupled": "i"})
    for gate, words in (("i", "input"), ("f", "forget"), ("o", "output")):
        yield Change(f"has no {words} gate", "has one", {"ungated": gate})
    alone = {"biases_in": "biases", "recurrent_in": "recurrent weight", "inputs_in": "input weight"}
    for order, (field, words) in product(orders, alone.items()):
        description = f"takes the gates of its {words} alone in the order {', '.join(order)}"
        yield Change(description, spelled, {field: order}, needs_whole_tensor=True)


def _compound_variants(o: Operands) -> Iterator[Variant]:
    """Another order of the gates, and another mistake besides: what a port from another library makes at once."""
    options = _options(o)
    if not is_long(o):
        yield from vary(compute, o, options, _orders_and_more(o, options))


def _orders_and_more(o: Operands, options: Options) -> Iterator[Change]:
    for order, other in product(_other_orders(options), list(shared_changes(o, ("h", "c")))):
        description = f"takes its gates in the order {', '.join(order)} and {other.description}"
        canonical_description = f"{', '.join(options.order)} and {other.canonical_description}"
        yield Change(description, canonical_description, {"order": order, **other.fields}, needs_whole_tensor=True)


def _other_orders(options: Options) -> list[str]:
    orders = ("".join(order) for order in permutations(GATES))
    return [order for order in orders if order != options.order]


def _returned(options: Options) -> Iterator[Change]:
    """What else may be returned as a state, by the same run."""
    if options.output == "y":
        return
    other = "c" if options.output == "h" else "h"
    yield Change(f"returns {other} in place of {options.output}", options.output, {"returns": other})
    yield Change("returns the state after the first step", "after the last", {"last": "first"})
    yield Change("returns the state before the last step", "after it", {"last": "second to last"})
    yield Change("returns tanh(c) before the output gate", "after it", {"returns": "outer"})


def _variants(o: Operands) -> Iterator[Variant]:
    options = _options(o)
    if options.output != "y" and is_long(o):
        steps = _run(o, options)
        yield from vary(lambda _, other: _given_out(steps, other), o, options, _returned(options))
        return
    yield from vary(compute, o, options, _changes(o, options))


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    options = _options(o)
    if options.output != "y" and is_long(o):
        return
    for description, field in (
        ("adds {} to the forget gate's input", "forget_bias"),
        ("keeps {} of the old cell state beside what the gates make", "zoneout"),
    ):
        yield FittedParameter(
            description, "does not", 0.0, partial(lambda field, x: compute(o, replace(options, **{field: x})), field)
        )


LSTM = OperationDefinition(
    lambda o: compute(o, _options(o)), _variants, window_rule, _fitted_parameters, _compound_variants, causal=True
)
