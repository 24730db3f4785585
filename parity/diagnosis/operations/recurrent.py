"""What LSTM and GRU layers share: variants of their weights, biases, state and functions.

Roles: x (T, B, X), weight_ih (nH, X), weight_hh (nH, H), bias_ih and bias_hh (nH,) or none, h (and c) (B, H) or none.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, exchange, flipped, on, without
from parity.diagnosis.operations.weights import bias_changes, gates_transposed, reshaped, reshaped_back

LONG = 2**17
"""The number of elements of x above which one run takes seconds."""
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def reordered(held: str, wanted: str, weight: Tensor) -> Tensor:
    """A weight or bias with its blocks of rows moved from the gates' order `held` to the order `wanted`."""
    blocks = weight.chunk(len(held))
    return weight if held == wanted else torch.cat([blocks[held.index(gate)] for gate in wanted])


def with_gates(o: Operands, order: str, gates: str) -> Operands:
    """The operands with their gates moved from `order` to `gates`."""
    if order == gates:
        return o
    return o.mapped(partial(reordered, order, gates), *(role for role in WEIGHTS if role in o))


def start(o: Operands, part: str = "h") -> Tensor:
    """The state at the start, (B, H)."""
    if part in o:
        return o[part]
    width = o["weight_hh"].shape[0] // 4 if part == "c" else o["weight_hh"].shape[1]  # of a projected layer, h is less
    return o["x"].new_zeros(o["x"].shape[1], width)


def given_out(steps: Mapping[str, list[Tensor]], output: str, given: str = "", last: int = -1) -> Tensor:
    """For the output "y" every step's h, (T, B, H); for a state that of the step `last`, (B, H).

    `given` names what is returned in place of h or of the state.
    """
    found = steps[given or ("h" if output == "y" else output)]
    return torch.stack(found) if output == "y" else found[last]


def other_orders(order: str) -> list[str]:
    """Every other order of the gates."""
    return ["".join(other) for other in permutations(order)][1:]


def shared_changes(o: Operands, *state: str) -> Iterator[Change]:
    """What any recurrent layer may do differently with its operands; `state` names the parts of its state."""
    for bias, name in (("bias_ih", "input"), ("bias_hh", "recurrent")):
        if bias in o:
            yield from bias_changes(bias, f"the {name} bias ({bias})")
    if "bias_ih" in o and "bias_hh" in o:
        yield Change("leaves both biases out", "adds them", operands=without("bias_ih", "bias_hh"))
    yield from _weight_changes(o)
    yield from _state_changes(*state)
    words = "starts from the state with its batch reversed"
    yield Change(words, "in order", operands=flipped(0, *state), needs_whole_tensor=True)
    backwards, words = flipped(0, "x"), "runs over time backwards"
    yield Change(words, "forwards", operands=backwards, needs_whole_tensor=True)
    if o.setting("output", "y") == "y":
        words = f"{words} and turns its output round"
        yield Change(words, "forwards", operands=backwards, result=_turned, needs_whole_tensor=True)
        words = "takes batch for time in what it takes and gives (the first two axes exchanged)"
        crossed = on(partial(torch.transpose, dim0=0, dim1=1), "x")
        yield Change(words, "does not", operands=crossed, result=_crossed, needs_whole_tensor=True)
    else:
        yield Change("returns its state with the batch reversed", "in order", result=_turned, needs_whole_tensor=True)


def _crossed(x: Tensor) -> Tensor:
    return x.transpose(0, 1)


def _turned(x: Tensor) -> Tensor:
    return x.flip(0)


def _weight_changes(o: Operands) -> Iterator[Change]:
    both = exchange(("weight_ih", "weight_hh"), ("bias_ih", "bias_hh"))
    yield Change("exchanges the input and the recurrent weights", "does not", operands=both)
    for role, name in (("weight_ih", "input"), ("weight_hh", "recurrent")):
        words = f"the {name} weight ({role})"
        yield Change(f"transposes each gate's block of {words}", "does not", operands=on(gates_transposed, role))
        yield Change(f"leaves {words} out", "uses it", operands=on(torch.zeros_like, role))
        if o[role].shape[0] == o[role].shape[1]:  # a block is all of it
            continue
        again = f"reads {words} transposed (reshaped, not transposed)"
        yield Change(again, "as it is", operands=on(reshaped, role))
        words = f"reads the numbers of {words} as if it were the transposed one"
        yield Change(words, "as they are", operands=on(reshaped_back, role))
    transposed = on(gates_transposed, "weight_ih", "weight_hh")
    yield Change("transposes each gate's blocks of both weights", "does not", operands=transposed)
    if all(o[role].shape[0] == o[role].shape[1] for role in ("weight_ih", "weight_hh")):
        return
    again = "reads both weights transposed (reshaped, not transposed)"
    yield Change(again, "as they are", operands=on(reshaped, "weight_ih", "weight_hh"))


def _state_changes(*state: str) -> Iterator[Change]:
    names = " and ".join(state)
    yield Change(f"starts from zeros, not from {names}", f"from {names}", operands=without(*state))
    if len(state) == 2:
        yield Change("exchanges h and c where it starts", "does not", operands=exchange(("h", "c")))
        yield Change("starts from h for both h and c", "from each", operands=lambda o: o.having(c=o["h"]))
        yield Change("starts from c for both h and c", "from each", operands=lambda o: o.having(h=o["c"]))
        yield from (Change(f"starts {part} from zeros", f"from {part}", operands=without(part)) for part in state)
    yield Change("starts from the state's negative", "from the state", operands=on(torch.neg, *state))


def function_changes(new: str, functions: Mapping[str, str]) -> Iterator[Change]:
    """Other functions of the gates, and of what they let in, called `new`; `functions` maps names to descriptions."""
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
