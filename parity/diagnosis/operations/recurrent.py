"""What LSTM and GRU layers share: weights, biases and a state that may be read otherwise.

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


@dataclass(frozen=True)
class Weights:
    """How a recurrent layer's operands are read."""

    exchanged: bool = False
    """The input and the recurrent weight (and bias) in each other's place."""
    biases_exchanged: bool = False
    inputs: str = "as given"
    """"as given"; "transposed", each gate's block, if square; "reshaped", read transposed as if it were not; "zero"."""
    recurrent: str = "as given"
    bias_ih: float = 1.0
    bias_hh: float = 1.0
    h: str = "h"
    """Where h starts from: "h", "c", "zeros", "reversed" in the batch, "negative"."""
    c: str = "c"
    time: str = "forward"
    """"forward"; "backward", the steps last to first and given out so; "backward, turned", given out first to last."""
    batch_reversed: bool = False

    def in_time(self, steps: Tensor) -> Tensor:
        """The steps in the order they are given out in, (T, B, H)."""
        return steps.flip(0) if self.time == "backward, turned" else steps

    def in_batch(self, state: Tensor) -> Tensor:
        """A returned state in the order of its batch, (B, H)."""
        return state.flip(0) if self.batch_reversed else state


@dataclass(frozen=True)
class Read:
    """The operands as a layer computes with them. The biases are joint, but for a GRU's need of both."""

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


def read(o: Operands, weights: Weights) -> Read:
    """The operands read as `weights` says."""
    x, inputs, recurrent = o["x"], o["weight_ih"], o["weight_hh"]
    bias_ih, bias_hh = _times(o.get("bias_ih"), weights.bias_ih), _times(o.get("bias_hh"), weights.bias_hh)
    if weights.exchanged:
        inputs, recurrent = recurrent, inputs
    if weights.exchanged or weights.biases_exchanged:
        bias_ih, bias_hh = bias_hh, bias_ih
    zeros = x.new_zeros(x.shape[-2], recurrent.shape[-1])
    states = {"h": o.get("h"), "c": o.get("c"), "zeros": zeros}
    x = x if weights.time == "forward" else x.flip(0)
    inputs, recurrent = _matrix(inputs, weights.inputs), _matrix(recurrent, weights.recurrent)
    return Read(x, inputs, recurrent, bias_ih, bias_hh, _state(states, weights.h, "h"), _state(states, weights.c, "c"))


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


Rows = list[tuple[str, str, dict[str, Any]]]


def shared_changes(o: Operands, state: tuple[str, ...]) -> Iterator[Change]:
    """What every recurrent layer may do otherwise; `state` names its parts."""
    for description, canonical_description, fields in _bias_rows(o) + _weight_rows() + _state_rows(state):
        yield Change(description, canonical_description, {"weights": Weights(**fields)})
    mirrored: Rows = [
        ("starts from the state with its batch reversed", "in order", dict.fromkeys(state, "reversed")),
        ("runs over time backwards", "forwards", {"time": "backward"}),
        ("runs over time backwards and turns its output round", "forwards", {"time": "backward, turned"}),
        ("returns its state with the batch reversed", "in order", {"batch_reversed": True}),
    ]
    for description, canonical_description, fields in mirrored:
        yield Change(description, canonical_description, {"weights": Weights(**fields)}, needs_whole_tensor=True)


def _bias_rows(o: Operands) -> Rows:
    rows: Rows = []
    for bias, name in (("bias_ih", "input"), ("bias_hh", "recurrent")):
        if bias in o:
            words = f"the {name} bias ({bias})"
            rows += [
                (f"leaves {words} out", "adds it", {bias: 0.0}),
                (f"adds {words} twice", "once", {bias: 2.0}),
                (f"subtracts {words}", "adds it", {bias: -1.0}),
            ]
    if "bias_ih" in o and "bias_hh" in o:
        rows += [
            ("leaves both biases out", "adds them", {"bias_ih": 0.0, "bias_hh": 0.0}),
            ("exchanges the two biases", "does not", {"biases_exchanged": True}),
        ]
    return rows


def _weight_rows() -> Rows:
    rows: Rows = [("exchanges the input and the recurrent weights", "does not", {"exchanged": True})]
    for weight, words in (
        ("inputs", "the input weight (weight_ih)"),
        ("recurrent", "the recurrent weight (weight_hh)"),
    ):
        rows += [
            (f"transposes each gate's block of {words}", "does not", {weight: "transposed"}),
            (f"reads {words} transposed (reshaped, not transposed)", "as it is", {weight: "reshaped"}),
            (f"leaves {words} out", "uses it", {weight: "zero"}),
        ]
    both = {how: {"inputs": how, "recurrent": how} for how in ("transposed", "reshaped")}
    return [
        *rows,
        ("transposes each gate's blocks of both weights", "does not", both["transposed"]),
        ("reads both weights transposed (reshaped, not transposed)", "as they are", both["reshaped"]),
    ]


def _state_rows(state: tuple[str, ...]) -> Rows:
    names = " and ".join(state)
    rows: Rows = [(f"starts from zeros, not from {names}", f"from {names}", dict.fromkeys(state, "zeros"))]
    if len(state) == 2:
        rows += [
            ("exchanges h and c where it starts", "does not", {"h": "c", "c": "h"}),
            ("starts from h for both h and c", "from each", {"c": "h"}),
            ("starts from c for both h and c", "from each", {"h": "c"}),
            *((f"starts {part} from zeros", f"from {part}", {part: "zeros"}) for part in state),
        ]
    return [*rows, ("starts from the state's negative", "from the state", dict.fromkeys(state, "negative"))]


def is_long(o: Operands) -> bool:
    """Whether one run takes seconds. The last state needs all of it, so then few variants of that are tried."""
    return o["x"].numel() > LONG


def follows(settings: Mapping[str, Any], axis: int) -> Mapping[str, int] | None:
    """`OperationDefinition.follows` of a recurrent layer."""
    if axis == -2:
        return {"x": -2, "h": -2, "c": -2}
    return {"x": -3} if axis == -3 and settings.get("output", "y") == "y" else None
