"""The state between segments, as the `segment` graph leaves it: on the device that runs the graph, never written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import OrtValue

from export.serving.providers import Device
from sharnn_py.config import Config
from sharnn_py.errors import InputError
from sharnn_py.state_file import name_tensors
from sharnn_py.state_shapes import PARTS, check_shapes, require_finite

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
    slot: int | None = None
    """The slot that the next row is to have if it is written to a full ring: where the ring that the memory comes from
    had it. Steps then add up the same rows in the same order, and give the same numbers bit for bit."""

    @classmethod
    def place(cls, layers: Layers, config: Config, dtype: str, device: Device, slot: int | None = None) -> SegmentState:
        """Copy `layers`, which `check_layers` has accepted, to `device` in `dtype` ("float32" or "float16")."""
        values = {
            name: OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array.astype(dtype)), *device)
            for name, array in name_tensors(layers).items()
            if not name.endswith("memory") or config.attends(int(name.split(".")[1]))
        }
        rows = max((layer[2].shape[0] for layer in layers), default=0)
        return cls(layers[0][0].shape[0], rows, values, slot)

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
    for i, layer in enumerate(layers):
        kinds = [type(part).__name__ for part in layer] if isinstance(layer, (tuple, list)) else type(layer).__name__
        if kinds != ["ndarray"] * len(PARTS):
            raise InputError(
                f"layer {i} of the state is {kinds}; it must be the three NumPy arrays h (B, H), c (B, H) and memory "
                "(M, B, H)"
            )
    batch = layers[0][0].shape[0] if layers and layers[0][0].ndim else 0
    if batch < 1:
        raise InputError("the state has no sequences")
    check_shapes(layers, config, batch)
    held = sorted({layer[2].shape[0] for i, layer in enumerate(layers) if config.attends(i)})
    if len(held) > 1:
        raise InputError(f"the state's blocks hold {held} memory rows; every block that attends holds as many")
    if held and held[0] > config.max_memory:
        raise InputError(f"the state has {held[0]} memory rows; this model keeps at most {config.max_memory}")
    tensors = name_tensors(layers)
    for name, array in tensors.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise InputError(f"the state's {name} is {array.dtype}; it must be of floating point")
    require_finite(tensors, lambda array: bool(np.isfinite(array).all()))
