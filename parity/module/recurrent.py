"""The operations of torch's recurrent layers: one operation for every layer and direction, between moves of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from parity.subject.scene import Operation

KINDS: dict[type[nn.RNNBase], str] = {nn.LSTM: "lstm", nn.GRU: "gru", nn.RNN: "rnn"}
AXES = {"axes": ("time", "batch", "feature")}


def recurrent_operations(
    module: nn.RNNBase, called: str, taken: Sequence[str], parameters: Mapping[str, str], tensors: Sequence[Tensor]
) -> dict[str, Operation]:
    """The operations of one call; none of a packed sequence."""
    if any(not x.is_floating_point() for x in tensors):
        return {}
    return _Layers(module, called, taken, parameters, batched=tensors[0].ndim == 3).operations()


def cell_operations(
    module: nn.RNNCellBase, called: str, taken: Sequence[str], parameters: Mapping[str, str], tensors: Sequence[Tensor]
) -> dict[str, Operation]:
    """The operations of one call of a cell: a layer's of one time step. None without a batch."""
    if tensors[0].ndim != 2:
        return {}
    kind = {nn.LSTMCell: "lstm", nn.GRUCell: "gru", nn.RNNCell: "rnn"}[type(module)]
    x, states = f"{called}:x", "hc" if kind == "lstm" else "h"
    call = partial(_moved, "unsqueeze", (0,))
    inputs = {"x": x, **parameters, **dict(zip(states, taken[1:], strict=False))}
    own = {"function": module.nonlinearity} if isinstance(module, nn.RNNCell) else {}
    found = {x: Operation("move", {"x": taken[0]}, {"call": call, "words": "unsqueeze(0)"})}
    for i, state in enumerate(states):
        key = f"{called}.{i}" if kind == "lstm" else called
        found[key] = Operation(kind, inputs, {"output": state, **own})
    return found


class _Layers:
    """One call of a recurrent module, as its operations are put together."""

    def __init__(
        self, module: nn.RNNBase, called: str, taken: Sequence[str], parameters: Mapping[str, str], batched: bool
    ) -> None:
        self.module, self.called, self.taken, self.parameters = module, called, taken, parameters
        self.batched = batched
        self.kind = next(kind for sort, kind in KINDS.items() if isinstance(module, sort))
        self.states = "hc" if self.kind == "lstm" else "h"
        self.directions = 2 if module.bidirectional else 1
        self.found: dict[str, Operation] = {}

    def operations(self) -> dict[str, Operation]:
        """Every step, by key."""
        x = self._put("x", self.taken[0], self._in_time(self.taken[0]))
        last: dict[str, list[str]] = {state: [] for state in self.states}
        for layer in range(self.module.num_layers):
            outputs = []
            for direction in range(self.directions):
                inputs, key = self._inputs(x, layer, direction), self._named(layer, direction)
                self.found[key] = Operation(self.kind, inputs, self._settings("y"))
                for state in self.states:
                    last[state].append(f"{key} {state}")
                    self.found[f"{key} {state}"] = Operation(self.kind, inputs, self._settings(state))
                outputs.append(self._put(f"{key} turned back", key, self._flip(key) if direction else None))
            x = outputs[0]
            if self.directions == 2:
                x = f"{self.called}:layer {layer}"
                self.found[x] = Operation("joined", {"0": outputs[0], "1": outputs[1]}, {"axis": -1})
        back = self._in_time(x, back=True)
        self.found[f"{self.called}.0"] = self.found.pop(x) if back is None else back
        for i, state in enumerate(self.states):
            name = f"{self.called}.1.{i}" if self.kind == "lstm" else f"{self.called}.1"
            self._stacked(name, last[state])
        return self.found

    def _settings(self, output: str) -> dict[str, Any]:
        own = {"function": self.module.nonlinearity} if self.kind == "rnn" else {}
        return {"output": output, **(AXES if output == "y" else {}), **own}

    def _named(self, layer: int, direction: int) -> str:
        return f"{self.called}:l{layer}{'_reverse' if direction else ''}"

    def _inputs(self, x: str, layer: int, direction: int) -> dict[str, str]:
        suffix = f"_l{layer}{'_reverse' if direction else ''}"
        weights = {n.removesuffix(suffix): k for n, k in self.parameters.items() if n.endswith(suffix)}
        x = self._put(f"{x} reversed", x, self._flip(x) if direction else None)
        row = layer * self.directions + direction
        states = {state: self._state(state, key, row) for state, key in zip(self.states, self.taken[1:], strict=False)}
        return {"x": x, **weights, **states}

    def _state(self, state: str, key: str, row: int) -> str:
        key = self._put(f"{self.called}:{state}", key, None if self.batched else self._move(key, "unsqueeze", 1))
        name = f"{key} {row}"
        self.found[name] = Operation("select", {"x": key}, {"row": row})
        return name

    def _stacked(self, name: str, keys: Sequence[str]) -> None:
        whole = Operation("stack", {str(i): key for i, key in enumerate(keys)})
        if not self.batched:
            self.found[f"{name}:stack"] = whole
            whole = self._move(f"{name}:stack", "squeeze", 1)
        self.found[name] = whole

    def _put(self, key: str, own: str, step: Operation | None) -> str:
        """The key of a step, or of what it would change if it is none."""
        if step is None:
            return own
        key = key if key.startswith(self.called) else f"{self.called}:{key}"
        self.found[key] = step
        return key

    def _in_time(self, key: str, back: bool = False) -> Operation | None:
        """Time first and a batch after it; or the other way."""
        if not self.batched:
            return self._move(key, "squeeze" if back else "unsqueeze", 1)
        return self._move(key, "transpose", 0, 1) if self.module.batch_first else None

    def _flip(self, key: str) -> Operation:
        return self._move(key, "flip", (0,))

    def _move(self, key: str, name: str, *given: Any) -> Operation:
        call = partial(_moved, name, given)
        return Operation("move", {"x": key}, {"call": call, "words": f"{name}({', '.join(map(str, given))})"})


def _moved(name: str, given: Sequence[Any], x: Tensor) -> Tensor:
    result: Tensor = getattr(torch, name)(x, *given)
    return result
