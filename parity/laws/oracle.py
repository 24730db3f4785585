"""What a back end for SHA-RNN should hold and answer, and how far rounding may take it from that.

`PlainSHARNN` in float64 is what is right. Beside it run replicas in float32, one with the same parameters, the others
with each nudged by at most its last bit; the largest distance of any of them from float64 is the rounding. A back end
agrees if it is within `parity.tolerance.allowed` of float64: no tolerance was guessed or fitted to a back end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parity.laws.backend import Array, Layers
from parity.laws.plain import PlainSHARNN
from parity.laws.strategies import Spec
from parity.tolerance import ROUNDING_RUNS, UNIT, allowed, nudge
from sharnn_py.config import Config

UNITS = {np.float32: UNIT[torch.float32], np.float64: UNIT[torch.float64]}


class Broken(AssertionError):
    """A law does not hold. The message says what was found and what was expected."""


@dataclass(frozen=True)
class Expected:
    """An array that a back end should give, and the largest error that float32 runs have shown in it."""

    value: Array
    rounding: float


class Oracle:
    """B sequences as they should be: of each, the plain model in float64 and its float32 replicas."""

    def __init__(self, spec: Spec, batch: int = 1, layers: Layers | None = None) -> None:
        """`layers` is the state to begin from; None: nothing was fed yet."""
        self.config: Config = spec.config
        self.sequences = [
            [PlainSHARNN(self.config, run, np.float32 if k else np.float64) for k, run in enumerate(_runs(spec))]
            for _ in range(batch)
        ]
        for b, models in enumerate(self.sequences if layers is not None else []):
            assert layers is not None
            for model in models:
                model.h, model.c = ([layer[k][b].astype(model.dtype) for layer in layers] for k in (0, 1))
                model.memory = [list(layer[2][:, b].astype(model.dtype)) for layer in layers]

    def feed(self, tokens: NDArray[np.int64], steps_only: bool = False) -> Expected:
        """Feed a segment of ids (T, B), or each step as a segment; return its logits (T, B, V)."""
        segments = list(tokens[:, None]) if steps_only else [tokens]
        fed = [
            [np.concatenate([model.feed(segment[:, b]) for segment in segments]) for model in models]
            for b, models in enumerate(self.sequences)
        ]
        return _expected([np.stack(logits, axis=1) for logits in zip(*fed, strict=True)])

    def fork(self) -> Oracle:
        """A copy that continues from here."""
        return self.reordered(range(len(self.sequences)))

    def reordered(self, rows: Sequence[int]) -> Oracle:
        """Copies of these sequences, in this order."""
        other = object.__new__(Oracle)
        other.config = self.config
        other.sequences = [[model.copy() for model in self.sequences[b]] for b in rows]
        return other

    def state(self) -> list[list[Expected]]:
        """Of every block h (B, H), c (B, H) and memory (M, B, H)."""
        runs = [self._layers(run) for run in range(ROUNDING_RUNS + 1)]
        return [
            [_expected([layers[i][part] for layers in runs]) for part in range(3)] for i in range(self.config.layers)
        ]

    def _layers(self, run: int) -> Layers:
        models = [runs[run] for runs in self.sequences]

        def memory(i: int) -> Array:
            rows = np.array([model.memory[i] for model in models])  # (B, M, H)
            return rows.reshape(len(models), -1, self.config.emb).transpose(1, 0, 2)

        return [
            (np.stack([model.h[i] for model in models]), np.stack([model.c[i] for model in models]), memory(i))
            for i in range(self.config.layers)
        ]

    def check_state(self, found: Layers, dtype: Any) -> None:
        """Raise `Broken` unless a back end that computes in `dtype` holds this state."""
        check_layers(("h", "c", "memory"), found, self.state(), dtype)


def check_layers(parts: Sequence[str], found: Layers, expected: list[list[Expected]], dtype: Any) -> None:
    """Raise `Broken` unless every array of a state, of these names in every layer, is as expected."""
    if len(found) != len(expected):
        raise Broken(f"the state has {len(found)} blocks, the model {len(expected)}")
    for i, layer in enumerate(found):
        for name, given, right in zip(parts, layer, expected[i], strict=True):
            check(f"block {i}'s {name}", given, right, dtype)


def check(what: str, given: Array, expected: Expected, dtype: Any) -> None:
    """Raise `Broken` unless `given` has the shape expected, is of `dtype`, and as near as rounding explains."""
    right = expected.value
    if given.shape != right.shape:
        raise Broken(f"{what} has shape {given.shape}; it should be {right.shape}")
    if not given.size:
        return
    if given.dtype != np.dtype(dtype):
        raise Broken(f"{what} is {given.dtype}; it should be {np.dtype(dtype)}")
    rounding = expected.rounding * UNITS[dtype] / UNITS[np.float32]
    bound = allowed(rounding, float(np.abs(right).max()), UNITS[dtype])
    error = np.abs(given - right)
    if not error.max() <= bound:
        at = np.unravel_index(int(np.nanargmax(error)) if not np.isnan(error).all() else 0, error.shape)
        where = tuple(int(k) for k in at)
        raise Broken(
            f"{what} at {list(where)} is {given[where]:.7g}; it should be {right[where]:.7g}: off by "
            f"{error[where]:.3g}, where rounding explains {bound:.3g}"
        )


def _expected(runs: Sequence[Array]) -> Expected:
    right, *replicas = runs
    return Expected(right, max(float(np.abs(replica - right).max()) for replica in replicas) if right.size else 0.0)


@lru_cache(64)
def _runs(spec: Spec) -> list[dict[str, Array]]:
    """The parameters of the float64 run, then those of each float32 replica."""
    exact = spec.parameters()
    nudged = (
        {name: nudge(torch.from_numpy(value), run, name).numpy() for name, value in exact.items()}
        for run in range(ROUNDING_RUNS)
    )
    return [exact, *nudged]
