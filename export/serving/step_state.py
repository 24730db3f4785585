"""The state between steps, which each step writes in place: h, c and ring at fixed addresses, bound to `step` once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, OrtValue, RunOptions

from export.serving.cuda_graph import capture
from export.serving.providers import Device
from export.serving.ring import Slots, memory_of, ring_of
from export.serving.segment_state import Layers
from sharnn_py.config import Config


class StepState:
    """The state of B sequences that are fed one token at a time. Every step changes it, so forks need a copy each."""

    def __init__(
        self, session: InferenceSession, config: Config, layers: Layers, slots: Slots, device: Device, graph: int | None
    ) -> None:
        """Copy `layers` (on the host, in the session's precision) to `device`, the memory into its `slots`.

        With `graph`, steps are replayed as the CUDA graph of that number, which no other state of this session may
        have.
        """
        self.batch = layers[0][0].shape[0]
        self.slots = slots
        self._session, self._config = session, config
        self._state: dict[str, OrtValue] = {}
        self._binding = session.io_binding()
        self._run_options = RunOptions()

        def place(name: str, array: NDArray[Any], in_place: bool = True) -> OrtValue:
            value = OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), *device)
            self._binding.bind_ortvalue_input(name, value)
            if in_place:
                self._binding.bind_ortvalue_output(f"{name}.next", value)
                self._state[name] = value
            return value

        self._tokens = place("tokens", np.zeros(self.batch, np.int64), in_place=False)
        for i, (h, c, memory) in enumerate(layers):
            place(f"layers.{i}.h", np.array(h))
            place(f"layers.{i}.c", np.array(c))
            if config.attends(i):
                place(f"layers.{i}.ring", ring_of(memory, config.heads, slots.capacity, slots.oldest_first()))
        if config.attention_layers:
            allowed = np.where(np.isin(np.arange(slots.capacity), slots.oldest_first()), 0, -np.inf)
            place("bias", allowed.astype(np.float32))
            self._slots = place("slots", self._rows_and_slot(), in_place=False)
        logits = np.zeros((self.batch, config.vocab), np.float32)
        self._logits = OrtValue.ortvalue_from_numpy(logits, *device)
        self._binding.bind_ortvalue_output("logits", self._logits)
        if graph is not None:
            self._run_options = capture(self._run, list(self._state.values()), self._logits, graph)

    def step(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Feed one id to each sequence, (B,); logits (B, V). Nothing larger than the logits comes to the host."""
        self._tokens.update_inplace(tokens)
        if self._config.attention_layers:
            self._slots.update_inplace(self._rows_and_slot())
        self._run(self._run_options)
        if self._config.attention_layers:
            self.slots.advance()
        return np.array(self._logits.numpy())

    def layers(self) -> Layers:
        """The state copied to the host, memory rows oldest first."""
        kept = self.slots.oldest_first()[-self._config.max_memory :]

        def memory(i: int, like: NDArray[Any]) -> NDArray[Any]:
            if not self._config.attends(i):
                return np.zeros((0, *like.shape), like.dtype)
            return memory_of(self._state[f"layers.{i}.ring"].numpy(), kept, self.batch)

        def layer(i: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
            h, c = (np.array(self._state[f"layers.{i}.{part}"].numpy()) for part in ("h", "c"))
            return h, c, memory(i, h)

        return [layer(i) for i in range(self._config.layers)]

    def _run(self, options: RunOptions) -> None:
        self._session.run_with_iobinding(self._binding, options)
        self._binding.synchronize_outputs()

    def _rows_and_slot(self) -> NDArray[np.int64]:
        rows = np.arange(self.batch * self._config.heads)
        return np.stack([rows, np.full_like(rows, self.slots.next)], axis=1)  # (B * heads, 2)
