"""The oracle for a model of any kind: every sequence of a batch, fed alone to a back end of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.laws.backend import Backend, Layers
from parity.laws.oracle import UNITS, Expected, check_layers


class Alone:
    """B sequences, each a back end with a batch of one that is neither forked nor reordered: a copy of it is a new back
    end that is fed all that the original was fed."""

    def __init__(self, make: Callable[[], Backend], batch: int, layers: Layers | None, rounding: float) -> None:
        """`make` gives a new back end; `layers` is the state to begin from (None: nothing was fed yet); `rounding` is
        in units in the last place of the largest value of an array."""
        self._make, self._layers, self._rounding = make, layers, rounding
        self.sequences = [self._begun(b) for b in range(batch)]
        self._fed: list[list[NDArray[np.int64]]] = [[] for _ in range(batch)]
        self._origin = list(range(batch))

    def _begun(self, b: int) -> Backend:
        backend = self._make()
        backend.start(1)
        if self._layers is not None:
            backend.write(backend.pick(self._layers, [b]))
        return backend

    def feed(self, tokens: NDArray[np.int64], steps_only: bool = False) -> Expected:
        """The logits (T, B, V) of a segment of ids (T, B)."""
        logits = []
        for b, backend in enumerate(self.sequences):
            self._fed[b].append(tokens[:, [b]])
            logits.append(backend.feed(tokens[:, [b]]))
        return self._expected(np.concatenate(logits, axis=1))

    def fork(self) -> Alone:
        """A copy that continues from here."""
        return self.reordered(range(len(self.sequences)))

    def reordered(self, rows: Sequence[int]) -> Alone:
        """Copies of these sequences, in this order."""
        other = Alone(self._make, 0, self._layers, self._rounding)
        other._origin = [self._origin[b] for b in rows]
        other._fed = [list(self._fed[b]) for b in rows]
        other.sequences = [other._begun(origin) for origin in other._origin]
        for backend, segments in zip(other.sequences, other._fed, strict=True):
            for segment in segments:
                backend.feed(segment)
        return other

    def check_state(self, found: Layers, dtype: Any) -> None:
        """Raise `Broken` unless a back end holds these states."""
        parts, states = self.sequences[0].parts, [backend.read() for backend in self.sequences]
        expected = [
            [
                self._expected(np.concatenate([state[i][part] for state in states], axis))
                for part, axis in enumerate(parts.values())
            ]
            for i in range(len(states[0]))
        ]
        check_layers(list(parts), found, expected, dtype)

    def _expected(self, value: NDArray[Any]) -> Expected:
        scale = float(np.abs(value).max()) if value.size else 0.0
        return Expected(value, self._rounding * UNITS[np.float32] * scale / 16)
