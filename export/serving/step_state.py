"""The state between steps, which each step writes in place: h, c and ring at fixed addresses, bound to `step` once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.serving.ring import Slots, memory_of, ring_of
from export.serving.segment_state import Layers
from export.serving.step_buffers import Lease
from export.serving.step_inputs import rows_and_slots, step_inputs
from sharnn_py.config import Config


def arrays_of(layers: Layers, config: Config, slots: Slots, lock_step: bool) -> Mapping[str, NDArray[Any]]:
    """What the step graph is given first, by name: `layers`, in the export's precision, their memory in `slots`.

    `lock_step` is that of the manifest.
    """
    batch = layers[0][0].shape[0]
    arrays = _inputs(config, np.zeros(batch, np.int64), slots, lock_step)
    for i, (h, c, memory) in enumerate(layers):
        arrays |= {f"layers.{i}.h": np.array(h), f"layers.{i}.c": np.array(c)}
        if config.attends(i):
            arrays[f"layers.{i}.ring"] = ring_of(memory, config.heads, slots.capacity, slots.oldest_first())
    if config.attention_layers:
        numbers = np.arange(slots.capacity)
        if lock_step:
            held = np.isin(numbers, slots.oldest_first())
            arrays["bias"] = np.where(held, 0, -np.inf).astype(np.float32)
        else:
            arrays["numbers"] = numbers
    return arrays


def _inputs(config: Config, tokens: NDArray[np.int64], slots: Slots, lock_step: bool) -> dict[str, NDArray[Any]]:
    """What the host gives each step of sequences that move together."""
    each = np.ones_like(tokens)
    if not lock_step:
        held = min(slots.held + 1, slots.capacity)
        return step_inputs(config, tokens, each.astype(bool), each * slots.next, each * held)
    of_ring = {"slots": rows_and_slots(config, each * slots.next)} if config.attention_layers else {}
    return {"tokens": tokens, **of_ring}


class StepState:
    """The state of B sequences that are fed one token at a time. Every step changes it, so forks need a copy each."""

    def __init__(self, lease: Lease, config: Config, batch: int, slots: Slots, lock_step: bool) -> None:
        """Take over buffers that hold `arrays_of` the state of B = `batch` sequences in these `slots`."""
        self.batch = batch
        self.slots = slots
        self._lease, self._buffers = lease, lease.buffers
        self._config, self._lock_step = config, lock_step

    def step(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Feed one id to each sequence, (B,); logits (B, V). Nothing larger than the logits comes to the host."""
        logits = self._buffers.step(_inputs(self._config, tokens, self.slots, self._lock_step))
        if self._config.attention_layers:
            self.slots.advance()
        return logits

    def layers(self) -> Layers:
        """The state copied to the host, memory rows oldest first."""
        kept, state = self.slots.oldest_first()[-self._config.max_memory :], self._buffers.read()

        def memory(i: int, like: NDArray[Any]) -> NDArray[Any]:
            if not self._config.attends(i):
                return np.zeros((0, *like.shape), like.dtype)
            return memory_of(state[f"layers.{i}.ring"], kept, self.batch)

        def layer(i: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
            h, c = (state[f"layers.{i}.{part}"] for part in ("h", "c"))
            return h, c, memory(i, h)

        return [layer(i) for i in range(self._config.layers)]
