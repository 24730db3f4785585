"""What LSTM and GRU layers share: weights, biases, a state and functions that may be others.

Roles: x (T, B, X), weight_ih (nH, X), weight_hh (nH, H), bias_ih and bias_hh (nH,) or none, h (and c) (B, H) or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from parity.diagnosis.definition import Change, Operands

LONG = 2**17
"""Elements of x."""
RETURNED = {"first": 0, "second to last": -2, "last": -1}
"""The steps that a returned state may be of."""


@dataclass(frozen=True)
class RecurrentOptions:
    """How a recurrent layer is computed, as far as LSTM and GRU agree."""

    output: str
    """"y" for every step's h, or the name of the part of the last state that is returned."""
    order: str
    """The order of the gates' blocks in weights and biases."""
    exchanged: bool = False
    """The input and the recurrent weight (and bias) in each other's place."""
    inputs: str = "as given"
    """The input weight: "as given"; "transposed", each gate's block, if square; "reshaped", read transposed as if it
    were not; "zero"."""
    recurrent: str = "as given"
    """The recurrent weight, as `inputs`."""
    bias_ih: float = 1.0
    """What the input bias is multiplied by."""
    bias_hh: float = 1.0
    """What the recurrent bias is multiplied by."""
    h: str = "h"
    """Where h starts from: "h", "c", "zeros", "reversed" in the batch, "negative"."""
    c: str = "c"
    """Where c starts from, as `h`."""
    time: str = "forward"
    """"forward"; "backward", the steps last to first and given out so; "backward, turned", given out first to last."""
    batch_reversed: bool = False
    """Whether the returned state has its batch reversed."""
    gate: str = "sigmoid"
    """The gates' function, as all functions by its name in `parity.diagnosis.operations.activation`."""
    candidate: str = "tanh"
    """The function of the new state, or of an LSTM's new cell input."""
    ungated: str = ""
    """A gate that is left out (taken as 1)."""
    last: str = "last"
    """Which step the returned state is of."""

    def given_out(self, steps: Mapping[str, list[Tensor]], given: str = "h") -> Tensor:
        """Every step's `given`, (T, B, H), or that of the step that the returned state is of, (B, H)."""
        if self.output == "y":
            every = torch.stack(steps[given])
            return every.flip(0) if self.time == "backward, turned" else every
        state = steps[given][RETURNED[self.last]]
        return state.flip(0) if self.batch_reversed else state


@dataclass(frozen=True)
class Read:
    """The operands as a layer computes with them."""

    x: Tensor
    inputs: Tensor
    recurrent: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    h: Tensor
    c: Tensor

    @property
    def bias(self) -> Tensor | None:
        """The sum of both biases."""
        if self.bias_ih is None or self.bias_hh is None:
            return self.bias_hh if self.bias_ih is None else self.bias_ih
        return self.bias_ih + self.bias_hh


def read(o: Operands, options: RecurrentOptions) -> Read:
    """The operands read as `options` say."""
    x, inputs, recurrent = o["x"], o["weight_ih"], o["weight_hh"]
    bias_ih, bias_hh = _times(o.get("bias_ih"), options.bias_ih), _times(o.get("bias_hh"), options.bias_hh)
    if options.exchanged:
        inputs, recurrent, bias_ih, bias_hh = recurrent, inputs, bias_hh, bias_ih
    zeros = x.new_zeros(x.shape[-2], recurrent.shape[-1])
    states = {"h": o.get("h"), "c": o.get("c"), "zeros": zeros}
    x = x if options.time == "forward" else x.flip(0)
    inputs, recurrent = _matrix(inputs, options.inputs), _matrix(recurrent, options.recurrent)
    return Read(x, inputs, recurrent, bias_ih, bias_hh, _state(states, options.h, "h"), _state(states, options.c, "c"))


def _times(bias: Tensor | None, factor: float) -> Tensor | None:
    return None if bias is None or not factor else factor * bias


def _state(states: Mapping[str, Tensor | None], source: str, own: str) -> Tensor:
    given = states.get(own if source in ("reversed", "negative") else source)
    if given is None:
        given = states["zeros"]
    assert given is not None
    return given.flip(0) if source == "reversed" else -given if source == "negative" else given


def _matrix(weight: Tensor, how: str) -> Tensor:
    rows, width = weight.shape
    if how == "transposed":  # (n, H, H), block by block
        return weight.reshape(rows // width, width, width).mT.reshape(rows, width)
    if how == "reshaped":
        return weight.mT.reshape(rows, width)
    return torch.zeros_like(weight) if how == "zero" else weight


def shared_changes(o: Operands, state: tuple[str, ...]) -> Iterator[Change]:
    """What every recurrent layer may do otherwise with its operands; `state` names its parts."""
    yield from _bias_changes(o)
    yield from _weight_changes()
    yield from _state_changes(state)
    mirrored: list[tuple[str, str, dict[str, Any]]] = [
        ("starts from the state with its batch reversed", "in order", dict.fromkeys(state, "reversed")),
        ("runs over time backwards", "forwards", {"time": "backward"}),
        ("runs over time backwards and turns its output round", "forwards", {"time": "backward, turned"}),
        ("returns its state with the batch reversed", "in order", {"batch_reversed": True}),
    ]
    yield from (Change(*row, needs_whole_tensor=True) for row in mirrored)


def _bias_changes(o: Operands) -> Iterator[Change]:
    for bias, name in (("bias_ih", "input"), ("bias_hh", "recurrent")):
        if bias in o:
            words = f"the {name} bias ({bias})"
            yield Change(f"leaves {words} out", "adds it", {bias: 0.0})
            yield Change(f"adds {words} twice", "once", {bias: 2.0})
            yield Change(f"subtracts {words}", "adds it", {bias: -1.0})
    if "bias_ih" in o and "bias_hh" in o:
        yield Change("leaves both biases out", "adds them", {"bias_ih": 0.0, "bias_hh": 0.0})


def _weight_changes() -> Iterator[Change]:
    yield Change("exchanges the input and the recurrent weights", "does not", {"exchanged": True})
    names = {"inputs": "the input weight (weight_ih)", "recurrent": "the recurrent weight (weight_hh)"}
    for weight, words in names.items():
        yield Change(f"transposes each gate's block of {words}", "does not", {weight: "transposed"})
        yield Change(f"reads {words} transposed (reshaped, not transposed)", "as it is", {weight: "reshaped"})
        yield Change(f"leaves {words} out", "uses it", {weight: "zero"})
    yield Change("transposes each gate's blocks of both weights", "does not", dict.fromkeys(names, "transposed"))
    reshaped = "reads both weights transposed (reshaped, not transposed)"
    yield Change(reshaped, "as they are", dict.fromkeys(names, "reshaped"))


def _state_changes(state: tuple[str, ...]) -> Iterator[Change]:
    names = " and ".join(state)
    yield Change(f"starts from zeros, not from {names}", f"from {names}", dict.fromkeys(state, "zeros"))
    if len(state) == 2:
        yield Change("exchanges h and c where it starts", "does not", {"h": "c", "c": "h"})
        yield Change("starts from h for both h and c", "from each", {"c": "h"})
        yield Change("starts from c for both h and c", "from each", {"h": "c"})
        yield from (Change(f"starts {part} from zeros", f"from {part}", {part: "zeros"}) for part in state)
    yield Change("starts from the state's negative", "from the state", dict.fromkeys(state, "negative"))


def function_changes(new: str, functions: Mapping[str, str]) -> Iterator[Change]:
    """Other functions of the gates, and of what they let in, which is called `new`: a name and words for each."""
    for name, words in functions.items():
        yield Change(f"applies {words} to the {new}", "tanh", {"candidate": name})
    yield Change("applies the hard sigmoid to its gates", "the sigmoid", {"gate": "hard_sigmoid"})
    yield Change("applies the hard sigmoid of slope 0.2 to its gates", "the sigmoid", {"gate": "hard_sigmoid_0_2"})


def is_long(o: Operands) -> bool:
    """Whether one run takes seconds. The last state needs all of it, so then few variants of that are tried."""
    return o["x"].numel() > LONG


def window_rule(settings: Mapping[str, Any], axis: int) -> Mapping[str, int] | None:
    """The window rule of a recurrent layer."""
    if axis == -2:
        return {"x": -2, "h": -2, "c": -2}
    return {"x": -3} if axis == -3 and settings.get("output", "y") == "y" else None
