"""The state between segments, as the `segment` graph leaves it: on the device that runs the graph, never written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import OrtValue

from sharnn_py.config import Config
from sharnn_py.errors import InputError
from sharnn_py.state_file import PARTS

Layers = Sequence[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]
"""h (B, H), c (B, H) and memory (M, B, H) of every block, on the host."""


@dataclass(frozen=True)
class SegmentState:
    """The state of B sequences between segments. It is never changed, so forks of a session share it."""

    batch: int
    """B, number of sequences."""
    rows: int
    """M, memory rows of every block that attends."""
    values: dict[str, OrtValue]
    """h (B, H), c (B, H) and memory (M, B, H) on the device, by the name of the segment graph's input."""

    @classmethod
    def place(cls, layers: Layers, config: Config, dtype: str, device: str) -> SegmentState:
        """Copy `layers`, which `check_layers` has accepted, to `device` in `dtype` ("float32" or "float16")."""
        values = {
            f"layers.{i}.{part}": OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array.astype(dtype)), device, 0)
            for i, layer in enumerate(layers)
            for part, array in zip(PARTS, layer, strict=True)
            if part != "memory" or config.attends(i)
        }
        rows = max((layer[2].shape[0] for layer in layers), default=0)
        return cls(layers[0][0].shape[0], rows, values)

    def layers(self, config: Config) -> Layers:
        """The state copied to the host."""
        none = np.zeros((0, self.batch, config.emb), self.values["layers.0.h"].numpy().dtype)

        def of(i: int, part: str) -> NDArray[Any]:
            value = self.values.get(f"layers.{i}.{part}")
            return none if value is None else np.array(value.numpy())

        return [(of(i, "h"), of(i, "c"), of(i, "memory")) for i in range(config.layers)]


def zeros(config: Config, batch: int) -> Layers:
    """The state in which B = `batch` sequences begin: h and c zero, memories of no rows, float32."""
    h = np.zeros((batch, config.emb), np.float32)
    return [(h, h, np.zeros((0, batch, config.emb), np.float32))] * config.layers


def check_layers(layers: Layers, config: Config) -> None:
    """Raise `InputError` unless a model of `config` can continue from this state."""
    if len(layers) != config.layers:
        raise InputError(f"the state has {len(layers)} layers, the model {config.layers}")
    batch = layers[0][0].shape[0] if layers[0][0].ndim else 0
    if batch < 1:
        raise InputError("the state has no sequences")
    attending = [layer[2].shape[0] for i, layer in enumerate(layers) if config.attends(i) and layer[2].ndim]
    rows = attending[0] if attending else 0
    for i, layer in enumerate(layers):
        expected = ((batch, config.emb), (batch, config.emb), (rows if config.attends(i) else 0, batch, config.emb))
        for part, array, shape in zip(PARTS, layer, expected, strict=True):
            if array.shape != shape:
                raise InputError(
                    f"layer {i}: the state's {part} has shape {array.shape}, expected {shape}; a state continues only "
                    "the same sequences under the same model, and every block that attends holds as many rows"
                )
            if not np.issubdtype(array.dtype, np.floating):
                raise InputError(f"layer {i}: the state's {part} is {array.dtype}; it must be of floating point")
    if rows > config.max_memory:
        raise InputError(f"the state has {rows} memory rows; this model keeps at most {config.max_memory}")
