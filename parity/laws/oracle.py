"""What a back end should hold and answer, and how far rounding may take it from that.

The truth is the oracle in float64. Beside it run oracles in float32, one plain, the others with every parameter nudged
by at most its last bit; the largest distance of any of them from the truth is the rounding. A back end is right if it
is within `parity.tolerance.allowed` of the truth: no number in here was guessed, and nothing of a back end is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parity.laws.backend import Array, Layers
from parity.laws.plain import Oracle
from parity.laws.strategies import Spec
from parity.tolerance import ROUNDING_RUNS, UNIT, allowed, nudge
from sharnn_py.config import Config

UNITS = {np.float32: UNIT[torch.float32], np.float64: UNIT[torch.float64]}


class Broken(AssertionError):
    """A law that does not hold. The message says what was expected and what was found."""


class Truth:
    """B sequences as they should be: for each, the oracle and its float32 twins."""

    def __init__(self, spec: Spec, batch: int = 1, layers: Layers | None = None) -> None:
        self.config: Config = spec.config
        exact = spec.parameters()
        self._parameters = [exact, *(_nudged(exact, run) for run in range(ROUNDING_RUNS))]
        self.sequences = [self._sequence(b, layers) for b in range(batch)]

    def _sequence(self, b: int, layers: Layers | None) -> list[Oracle]:
        runs = [
            Oracle(self.config, parameters, np.float32 if run else np.float64)
            for run, parameters in enumerate(self._parameters)
        ]
        for oracle in runs if layers is not None else []:
            assert layers is not None
            oracle.h, oracle.c = ([layer[k][b].astype(oracle.dtype) for layer in layers] for k in (0, 1))
            oracle.memory = [list(layer[2][:, b].astype(oracle.dtype)) for layer in layers]
        return runs

    def feed(self, tokens: NDArray[np.int64], steps_only: bool = False) -> list[Array]:
        """Logits (T, B, V): the truth, then every twin's."""
        segments = list(tokens[:, None]) if steps_only else [tokens]
        fed = [
            [np.concatenate([oracle.feed(segment[:, b]) for segment in segments]) for oracle in runs]
            for b, runs in enumerate(self.sequences)
        ]
        return [np.stack(logits, axis=1) for logits in zip(*fed, strict=True)]

    def fork(self) -> Truth:
        """Another one that goes on from here."""
        return self.reordered(range(len(self.sequences)))

    def reordered(self, rows: Sequence[int]) -> Truth:
        """These sequences, in this order."""
        other = object.__new__(Truth)
        other.config, other._parameters = self.config, self._parameters
        other.sequences = [[_copy(oracle) for oracle in self.sequences[b]] for b in rows]
        return other

    def layers(self, run: int = 0) -> Layers:
        """The state, of the truth or of a twin."""
        sequences = [runs[run] for runs in self.sequences]

        def memory(i: int) -> Array:
            rows = np.array([oracle.memory[i] for oracle in sequences])  # (B, M, H)
            return rows.reshape(len(sequences), -1, self.config.emb).transpose(1, 0, 2)

        return [
            (np.stack([o.h[i] for o in sequences]), np.stack([o.c[i] for o in sequences]), memory(i))
            for i in range(self.config.layers)
        ]

    def check_state(self, found: Layers, dtype: Any) -> None:
        """Raise `Broken` unless a back end that computes in `dtype` holds this state."""
        truth, *twins = (self.layers(run) for run in range(ROUNDING_RUNS + 1))
        if len(found) != len(truth):
            raise Broken(f"the state has {len(found)} blocks, the model {len(truth)}")
        for i, given in enumerate(found):
            for part, name in enumerate(("h", "c", "memory")):
                twin = [layers[i][part] for layers in twins]
                check(f"block {i}'s {name}", given[part], [truth[i][part], *twin], dtype)


def check(what: str, given: Array, expected: Sequence[Array], dtype: Any) -> None:
    """Raise `Broken` unless `given` is as near the truth, first of `expected`, as rounding explains."""
    truth, *twins = expected
    if given.shape != truth.shape:
        raise Broken(f"{what} has shape {given.shape}; it should be {truth.shape}")
    if not given.size:
        return
    if given.dtype != np.dtype(dtype):
        raise Broken(f"{what} is {given.dtype}; it should be {np.dtype(dtype)}")
    rounding = max(float(np.abs(twin - truth).max()) for twin in twins) * UNITS[dtype] / UNITS[np.float32]
    bound = allowed(rounding, float(np.abs(truth).max()), UNITS[dtype])
    error = np.abs(given - truth)
    if not error.max() <= bound:
        at = np.unravel_index(int(np.nanargmax(error)) if not np.isnan(error).all() else 0, error.shape)
        where = tuple(int(k) for k in at)
        raise Broken(
            f"{what} at {list(where)} is {given[where]:.7g}; it should be {truth[where]:.7g}: off by "
            f"{error[where]:.3g}, where rounding explains {bound:.3g}"
        )


def _nudged(parameters: dict[str, Array], run: int) -> dict[str, Array]:
    return {name: nudge(torch.from_numpy(value), run, name).numpy() for name, value in parameters.items()}


def _copy(oracle: Oracle) -> Oracle:
    other = object.__new__(Oracle)
    other.__dict__.update(oracle.__dict__)
    other.h, other.c, other.memory = list(oracle.h), list(oracle.c), [list(rows) for rows in oracle.memory]
    return other
