"""Buffers that steps read and write at fixed addresses, bound to the step graph once, and recorded as a CUDA graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, OrtValue

from export.serving.cuda_graph import capture, plainly
from export.serving.providers import Device

_GIVEN = ("tokens", "due", "slots", "held", "numbers")
"""What the host gives. All else is state: it is written where it was read from."""


class StepBuffers:
    """The inputs and outputs of the step graph for one number of sequences and one size of ring."""

    def __init__(
        self, session: InferenceSession, arrays: Mapping[str, NDArray[Any]], vocab: int, device: Device
    ) -> None:
        """Copy `arrays`, by the name of the graph's input, to `device`."""
        self._session = session
        self._binding = session.io_binding()
        self.values: dict[str, OrtValue] = {}
        for name, array in arrays.items():
            value = OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), *device)
            self._binding.bind_ortvalue_input(name, value)
            if name not in _GIVEN:
                self._binding.bind_ortvalue_output(f"{name}.next", value)
            self.values[name] = value
        logits = np.zeros((len(arrays["tokens"]), vocab), np.float32)
        self._logits = OrtValue.ortvalue_from_numpy(logits, *device)
        self._binding.bind_ortvalue_output("logits", self._logits)
        self._run_options = plainly()

    def fill(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Copy `arrays` into the buffers, which stay where they are."""
        for name, array in arrays.items():
            self.values[name].update_inplace(np.ascontiguousarray(array))

    def record(self, graph: int) -> None:
        """Record a step as the CUDA graph numbered `graph`, which the steps from now on replay.

        Raises `ProviderError` if a replay gives other numbers.
        """
        state = [value for name, value in self.values.items() if name not in _GIVEN]
        self._run_options = capture(self._run, state, self._logits, graph)

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
