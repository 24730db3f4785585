"""How many sequences fit into so much memory: what an engine really holds for one, and what is taken beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from export.manifest import SIZES
from export.serving.engine import Engine
from export.serving.onnx_sessions import OnnxSessions
from export.serving.ring import BUCKETS
from export.serving.seats import KEPT
from export.serving.segment_state import Layers
from sharnn_py.config import Config

GB = 10**9
BESIDE: dict[str, int] = {"cpu": 300_000_000, "cuda": GB}
"""Bytes that are taken before anything is loaded. On the CPU: what serving processes were measured to take beside
weights and state. On CUDA an assumption: the context, the kernels, and the workspaces of cuBLAS and cuDNN."""
SHARE = 0.1
"""An assumption: the part of the rest that runs compute in, and that the arena keeps or leaves in pieces."""
_COUNTS = 1, 3
"""An engine of so many slots is measured, and one of so many; what one sequence takes is in the difference."""


@dataclass(frozen=True)
class PerSequence:
    """Bytes that an engine holds for each of its slots, where rings have at most so many slots."""

    rows: int
    """Memory rows, which an export with `capacity` of this many has room for."""
    seat: int
    """h, c and a full ring, which are there whether the slot is taken or not."""
    value: int
    """h, c and a memory of these rows, of a sequence that is not in its seat."""
    steps: int
    """Inputs and logits of steps: `KEPT` buffers, of which none is of more seats than there are."""

    @property
    def stepping(self) -> int:
        """Bytes for each slot while its sequence steps."""
        return self.seat + self.steps

    @property
    def reading(self) -> int:
        """Bytes for each slot while its sequence reads a prompt in parts: then it is in memory twice beside its seat,
        as it was before and as far as it has come."""
        return self.stepping + 2 * self.value


@dataclass(frozen=True)
class Capacity:
    """What an engine on one export was measured to hold, and how many sequences fit by it."""

    provider: Literal["cpu", "cuda"]
    weights: int
    """Bytes of weights, as often as they are held."""
    beside: int
    """Bytes of `BESIDE`."""
    share: float
    """`SHARE`."""
    each: tuple[PerSequence, ...]
    """By the most slots that a ring may have."""

    def fit(self, memory: float, each: int) -> int:
        """How many sequences of `each` bytes fit a device of `memory` bytes."""
        return max(0, int(((memory - self.beside) * (1 - self.share) - self.weights) // each))

    def to_json(self, gigabytes: Sequence[float]) -> dict[str, Any]:
        """All figures, and how many sequences fit by them."""
        found = dataclasses.asdict(self)
        for each, entry in zip(self.each, found["each"], strict=True):
            entry["fit"] = [
                {
                    "gigabytes": memory,
                    "stepping": self.fit(memory * GB, each.stepping),
                    "reading": self.fit(memory * GB, each.reading),
                }
                for memory in gigabytes
            ]
        return found


def measure(folder: str | Path, provider: Literal["cpu", "cuda"] = "cuda") -> Capacity:
    """What an engine on the export in `folder` holds, read from the arrays of engines that run it here, on the CPU.

    On CUDA an engine has arrays of the same sizes; `provider` says what is taken beside them. Each size of ring that
    steps use is measured, up to the export's own.

    Raises `ExportError` for a folder that is not an export, was changed, or whose sequences can only move together.
    """
    graphs = OnnxSessions(Path(folder), "cpu", "exported", 1, False, together=True)
    config, manifest = graphs.config, graphs.manifest
    sizes = [*(size for size in BUCKETS if size < manifest.capacity), manifest.capacity]
    each, weights = [], 0
    for rows in sizes:
        graphs.manifest = dataclasses.replace(manifest, capacity=rows)
        few, more = (_held(graphs, slots, min(rows, config.max_memory)) for slots in _COUNTS)
        seat, value, steps = ((b - a) // (_COUNTS[1] - _COUNTS[0]) for a, b in zip(few[1:], more[1:], strict=True))
        each.append(PerSequence(rows, seat, value, steps * KEPT))
        weights = more[0]
    if provider == "cuda":
        weights += _cudnn_weights(config, manifest.precision)
    return Capacity(provider, weights, BESIDE[provider], SHARE, tuple(each))


def _held(graphs: OnnxSessions, slots: int, rows: int) -> tuple[int, int, int, int]:
    """Bytes of weights, seats, values and steps of an engine that has taken each of its forms."""
    engine = Engine(graphs, None, slots)
    sequences = [engine.open() for _ in range(slots)]
    engine.feed(sequences[0], np.zeros(1, np.int64))
    for sequence in sequences:
        engine.set_state(sequence, _layers(graphs.config, rows))
    values = engine.held().values
    for sequence in sequences:
        engine.set_state(sequence, _layers(graphs.config, 0))
    engine.step(dict.fromkeys(sequences, 0))
    held = engine.held()
    return held.weights, held.seats, values, held.steps


def _layers(config: Config, rows: int) -> Layers:
    h = np.zeros((1, config.emb), np.float32)
    return [
        (h, h, np.zeros((rows if config.attends(i) else 0, 1, config.emb), np.float32)) for i in range(config.layers)
    ]


def _cudnn_weights(config: Config, precision: str) -> int:
    """Bytes of the LSTMs' weights in cuDNN's order, which onnxruntime keeps beside those of the segment graph."""
    H = config.emb
    return config.layers * (8 * H * H + 8 * H) * SIZES[precision]
