"""The laws' interface on `export.Engine`: sequences among others that join, step, fork, are evicted and leave."""

from __future__ import annotations

import random
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.serving.engine import Engine
from parity.laws.backend import Array, Backend, Layers
from sharnn_py.state_file import read_state, write_state

SLOTS = 4
"""As many as the most sequences of a law, so that any other one evicts some."""
OTHERS = 3
"""The most other sequences at a time."""


class EngineBackend(Backend):
    """The sequences of a law in an engine, each with a life of its own.

    Single steps are taken in random groups, together with other sequences, so that some of a law's are not due while
    others step. Segments are fed to one after the other, in random parts, with steps of the others in between. Before
    each feed something happens to others, and sometimes one of the law's own is evicted. What is random is drawn anew
    from the same seed at each `start`.
    """

    repeats = False

    def __init__(self, folder: Path) -> None:
        """Sequences of an engine of its own on the export in `folder`."""
        self._begin(Engine.load(folder, slots=SLOTS, threads=1))
        self.start(1)

    def _begin(self, engine: Engine) -> None:
        self.engine = engine
        self._own: list[int] = []
        self._others: list[int] = []
        self._random = random.Random(0)
        weakref.finalize(self, _close, engine, self._own, self._others)

    def another(self) -> EngineBackend:
        """A back end with one new sequence in the same engine."""
        other = object.__new__(EngineBackend)
        other._begin(self.engine)
        other.start(1)
        return other

    def start(self, batch: int) -> None:
        _close(self.engine, self._own, self._others)
        self._random.seed(0)
        self._own += [self.engine.open() for _ in range(batch)]

    def feed(self, tokens: NDArray[np.int64]) -> Array:
        self._live()
        if len(tokens) == 1:
            return self._step(tokens[0])[None]
        return np.stack([self._segment(own, ids) for own, ids in zip(self._own, tokens.T, strict=True)], axis=1)

    def read(self) -> Layers:
        states = [self.engine.state(own) for own in self._own]
        return [
            tuple(np.concatenate(parts, axis) for parts, axis in zip(zip(*layers, strict=True), (0, 0, 1), strict=True))
            for layers in zip(*states, strict=True)
        ]

    def write(self, layers: Layers) -> None:
        self.start(layers[0][0].shape[0])
        for b, own in enumerate(self._own):
            self.engine.set_state(own, self.pick(layers, [b]))  # type: ignore[arg-type]

    def fork(self) -> EngineBackend:
        other = object.__new__(EngineBackend)
        other._begin(self.engine)
        other._own += [self.engine.fork(own) for own in self._own]
        return other

    def reorder(self, rows: Sequence[int]) -> None:
        forks = [self.engine.fork(self._own[row]) for row in rows]
        _close(self.engine, self._own)
        self._own += forks

    def save(self, path: Path) -> None:
        """To a file of all sequences, of the files that the engine writes for each."""
        files = [path.with_name(f"{path.name}.{b}") for b in range(len(self._own))]
        for own, file in zip(self._own, files, strict=True):
            self.engine.save_state(own, file)
        states = [read_state(file).layers for file in files]
        joined = [
            tuple(np.concatenate(parts, axis) for parts, axis in zip(zip(*layers, strict=True), (0, 0, 1), strict=True))
            for layers in zip(*states, strict=True)
        ]
        write_state(path, joined)  # type: ignore[arg-type]

    def load(self, path: Path) -> None:
        layers: Layers = read_state(path).layers  # type: ignore[assignment]
        self.start(layers[0][0].shape[0])
        for b, own in enumerate(self._own):
            file = path.with_name(f"{path.name}.{b}")
            write_state(file, self.pick(layers, [b]))  # type: ignore[arg-type]
            self.engine.load_state(own, file, unidentified=True)

    def _step(self, ids: NDArray[np.int64]) -> Array:
        """A step of the law's sequences, in groups of any size and order: logits (B, V)."""
        logits: dict[int, Array] = {}
        left = dict(zip(self._own, ids.tolist(), strict=True))
        while left:
            chosen = self._random.sample(list(left), self._random.randint(1, len(left)))
            beside = self._random.sample(self._others, self._random.randint(0, min(len(self._others), SLOTS - len(chosen))))
            found = self.engine.step({number: left.pop(number, number % 7) for number in (*chosen, *beside)})
            logits |= {number: found[number] for number in chosen}
        return np.stack([logits[own] for own in self._own])

    def _segment(self, own: int, ids: NDArray[np.int64]) -> Array:
        logits = []
        for part in self.engine.feed_in_parts(own, ids, self._random.randint(1, len(ids))):
            logits.append(part)
            if self._others:
                self.engine.step({self._random.choice(self._others): 1})
        return np.concatenate(logits)

    def _live(self) -> None:
        """Let something happen to other sequences, and to where the law's own are kept."""
        happens = self._random.choice(["join", "join", "fork", "leave", "feed", "evict", "nothing"])
        if happens == "join" and len(self._others) < OTHERS:
            self._others.append(self.engine.open())
        elif happens == "fork" and len(self._others) < OTHERS:
            self._others.append(self.engine.fork(self._random.choice(self._own)))
        elif happens == "leave" and self._others:
            self.engine.close(self._others.pop(self._random.randrange(len(self._others))))
        elif happens == "feed" and self._others:
            self.engine.feed(self._random.choice(self._others), np.arange(self._random.randint(1, 6)) % 7)
        elif happens == "evict":
            self.engine.evict(self._random.choice(self._own))


def _close(engine: Engine, *sequences: list[int]) -> None:
    for numbers in sequences:
        while numbers:
            engine.close(numbers.pop())
