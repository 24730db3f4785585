"""What a back end for SHA-RNN should hold and answer, and how far rounding may take it from that.

The oracle is `PlainSHARNN` in float64. Beside it run replicas in float32, one with the same parameters, the others
with each nudged by at most its last bit; the largest distance of any of them from float64 is the rounding. A back end
agrees if it is within `parity.tolerance.allowed` of float64: no tolerance was guessed or fitted to a back end.
As some error is allowed whatever the rounding, the replicas run only where a back end is further off than that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial
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


class Expected:
    """An array that a back end should give, and the largest error that float32 runs have shown in it."""

    def __init__(self, value: Array, rounding: float | Callable[[], float]) -> None:
        """`rounding` may be a function, which is called when the number is asked for."""
        self.value, self._rounding = value, rounding

    @cached_property
    def rounding(self) -> float:
        """The largest error."""
        return self._rounding if isinstance(self._rounding, int | float) else self._rounding()


class _Replicas:
    """The float32 replicas of one sequence, and what they make of the segments just fed: run when first asked for."""

    def __init__(self, before: Callable[[], list[PlainSHARNN]], segments: Sequence[NDArray[np.int64]] = ()) -> None:
        self._before, self._segments = before, segments

    @cached_property
    def _ran(self) -> tuple[list[PlainSHARNN], list[Array]]:
        models = [model.copy() for model in self._before()]
        return models, [_feed(model, self._segments) for model in models]

    def models(self) -> list[PlainSHARNN]:
        return self._ran[0]

    def logits(self) -> list[Array]:
        return self._ran[1]


class Oracle:
    """B sequences as they should be: for each, the plain model in float64 and its float32 replicas."""

    def __init__(self, spec: Spec, batch: int = 1, layers: Layers | None = None) -> None:
        """`layers` is the state to begin from; None: nothing was fed yet."""
        self.config: Config = spec.config

        exact, *nudged = _runs(spec)
        self.sequences = [PlainSHARNN(self.config, exact, np.float64) for _ in range(batch)]
        for b, model in enumerate(self.sequences if layers is not None else []):
            assert layers is not None
            model.h, model.c = ([layer[k][b].astype(model.dtype) for layer in layers] for k in (0, 1))
            model.memory = [list(layer[2][:, b].astype(model.dtype)) for layer in layers]

        def replicas(begun: PlainSHARNN) -> list[PlainSHARNN]:
            models = [PlainSHARNN(self.config, parameters, np.float32) for parameters in nudged]
            for model in models:
                model.h, model.c = ([array.astype(model.dtype) for array in part] for part in (begun.h, begun.c))
                model.memory = [[row.astype(model.dtype) for row in rows] for rows in begun.memory]
            return models

        self._replicas = [_Replicas(partial(replicas, model.copy())) for model in self.sequences]

    def feed(self, tokens: NDArray[np.int64], steps_only: bool = False) -> Expected:
        """Feed a segment of ids (T, B), or each step as a segment; return its logits (T, B, V)."""
        segments = list(tokens[:, None]) if steps_only else [tokens]
        fed = [[segment[:, b] for segment in segments] for b in range(len(self.sequences))]
        right = np.stack([_feed(model, own) for model, own in zip(self.sequences, fed, strict=True)], axis=1)
        self._replicas = [_Replicas(before.models, own) for before, own in zip(self._replicas, fed, strict=True)]
        replicas = self._replicas
        return _expected(right, lambda: [np.stack(run, 1) for run in zip(*(r.logits() for r in replicas), strict=True)])

    def fork(self) -> Oracle:
        """A copy that continues from here."""
        return self.reordered(range(len(self.sequences)))

    def reordered(self, rows: Sequence[int]) -> Oracle:
        """Copies of these sequences, in this order."""
        other = object.__new__(Oracle)
        other.config = self.config
        other.sequences = [self.sequences[b].copy() for b in rows]
        other._replicas = [self._replicas[b] for b in rows]
        return other

    def state(self) -> list[list[Expected]]:
        """What every block's h (B, H), c (B, H) and memory (M, B, H) should be."""
        right, replicas = self._layers(self.sequences), self._replicas
        runs = lru_cache(1)(lambda: [self._layers(run) for run in zip(*(r.models() for r in replicas), strict=True)])
        return [
            [
                _expected(layer[part], lambda i=i, part=part: [layers[i][part] for layers in runs()])  # type: ignore[misc]
                for part in range(3)
            ]
            for i, layer in enumerate(right)
        ]

    def _layers(self, models: Sequence[PlainSHARNN]) -> Layers:
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
    error, scale = np.abs(given - right), float(np.abs(right).max())
    if error.max() <= allowed(0.0, scale, UNITS[dtype]):
        return
    bound = allowed(expected.rounding * UNITS[dtype] / UNITS[np.float32], scale, UNITS[dtype])
    if not error.max() <= bound:
        at = np.unravel_index(int(np.nanargmax(error)) if not np.isnan(error).all() else 0, error.shape)
        where = tuple(int(k) for k in at)
        raise Broken(
            f"{what} at {list(where)} is {given[where]:.7g}; it should be {right[where]:.7g}: off by "
            f"{error[where]:.3g}, where rounding explains {bound:.3g}"
        )


def _feed(model: PlainSHARNN, segments: Sequence[NDArray[np.int64]]) -> Array:
    """Feed segments of ids (T,); the logits (T, V) of all of them."""
    return np.concatenate([model.feed(segment) for segment in segments]) if segments else np.empty(0)


def _expected(right: Array, replicas: Callable[[], Sequence[Array]]) -> Expected:
    return Expected(right, lambda: max(float(np.abs(found - right).max()) for found in replicas()) if right.size else 0)


@lru_cache(64)
def _runs(spec: Spec) -> list[dict[str, Array]]:
    """The parameters of the float64 run, then those of each float32 replica."""
    exact = spec.parameters()
    nudged = (
        {name: nudge(torch.from_numpy(value), run, name).numpy() for name, value in exact.items()}
        for run in range(ROUNDING_RUNS)
    )
    return [exact, *nudged]
