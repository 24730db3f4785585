"""Buffers that steps read and write at fixed addresses, bound to the step graph once, and recorded as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, OrtValue

from export.serving.cuda_graph import capture, plainly
from export.serving.held import nbytes
from export.serving.places import Place
from export.serving.providers import Device


class StepBuffers:
    """The inputs and outputs of the step graph for one number of sequences and one size of ring."""

    def __init__(
        self,
        session: InferenceSession,
        given: Mapping[str, NDArray[Any]],
        state: Mapping[str, Place],
        vocab: int,
        device: Device,
    ) -> None:
        """Copy what the host gives to `device`, and bind it and the `state`, both by the name of the graph's input."""
        self._session = session
        self._binding = session.io_binding()
        self._given = {name: OrtValue.ortvalue_from_numpy(np.array(array), *device) for name, array in given.items()}
        self._state = state
        for name, value in self._given.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, place in state.items():
            place.bind_input(self._binding, name)
            place.bind_output(self._binding, f"{name}.next")
        logits = np.zeros((len(given["tokens"]), vocab), np.float32)
        self._logits = OrtValue.ortvalue_from_numpy(logits, *device)
        self._binding.bind_ortvalue_output("logits", self._logits)
        self._run_options = plainly()

    @property
    def nbytes(self) -> int:
        """Bytes of what the host gives, and of the logits."""
        return nbytes([*self._given.values(), self._logits])

    def fill(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy `arrays` into the buffers, which stay where they are."""
        for name, array in arrays.items():
            value = self._given[name] if name in self._given else self._state[name].value
            value.update_inplace(np.ascontiguousarray(array))

    def read(self) -> dict[str, NDArray[Any]]:
        """Copies of the state on the host, which `fill` takes back. For places that are the whole of their value."""
        return {name: np.array(place.value.numpy()) for name, place in self._state.items()}

    def record(self, graph: int, read: Callable[[], Sequence[NDArray[Any]]], restore: Callable[[], None]) -> None:
        """Record a step as the CUDA graph numbered `graph`, which the steps from now on replay.

        `read` gives the state on the host, and `restore` makes it what it was. Raises `ProviderError` if a replay gives
        other numbers.
        """

        def results() -> list[NDArray[Any]]:
            return [np.array(self._logits.numpy()), *read()]

        self._run_options = capture(self._run, results, restore, graph)

    def step(self, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Take one step with what is `given` for it; logits (B, V) on the host."""
        self.fill(given)
        self._run(self._run_options)
        return np.array(self._logits.numpy())

    def _run(self, options: Any) -> None:
        self._session.run_with_iobinding(self._binding, options)
        self._binding.synchronize_outputs()


class Lease:
    """The right of one state to use buffers, which ends when the state is no longer there."""

    def __init__(self, buffers: StepBuffers) -> None:
        self.buffers = buffers
