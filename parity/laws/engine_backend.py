"""The laws' interface on `export.Engine`: sequences among others that join, step, fork, are evicted and leave."""

from __future__ import annotations

import random
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

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
    others step. Longer segments are fed to one after the other, in random parts, with steps of the others in between;
    or, by "step", step by step. Before each of them something happens to others, and sometimes one of the law's own is
    evicted. What is random is drawn anew from the same seed at each `start`.
    """

    repeats = False

    def __init__(self, folder: Path, by: Literal["step", "either"] = "either") -> None:
        """Sequences of an engine of its own on the export in `folder`."""
        self._begin(Engine.load(folder, slots=SLOTS, threads=1), by)
        self.start(1)

    def _begin(self, engine: Engine, by: Literal["step", "either"]) -> None:
        self.engine, self.by, self.steps_only = engine, by, by == "step"
        self._own: list[int] = []
        self._others: list[int] = []
        self._random = random.Random(0)
        weakref.finalize(self, _close, engine, self._own, self._others)

    def fed_by(self, by: Literal["step", "either"]) -> EngineBackend:
        """A back end with one new sequence in the same engine, that is fed like this."""
        other = object.__new__(EngineBackend)
        other._begin(self.engine, by)
        other.start(1)
        return other

    def start(self, batch: int) -> None:
        _close(self.engine, self._own, self._others)
        self._random.seed(0)
        self._own += [self.engine.open() for _ in range(batch)]

    def feed(self, tokens: NDArray[np.int64]) -> Array:
        if len(tokens) == 1 or self.steps_only:
            return np.stack([self._step(ids) for ids in tokens])
        self._live()
        return np.stack([self._segment(own, ids) for own, ids in zip(self._own, tokens.T, strict=True)], axis=1)

    def read(self) -> Layers:
        return _joined([self.engine.state(own) for own in self._own])

    def write(self, layers: Layers) -> None:
        self.start(layers[0][0].shape[0])
        for b, own in enumerate(self._own):
            self.engine.set_state(own, self.pick(layers, [b]))

    def fork(self) -> EngineBackend:
        other = object.__new__(EngineBackend)
        other._begin(self.engine, self.by)
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
        write_state(path, _joined([read_state(file).layers for file in files]))

    def load(self, path: Path) -> None:
        layers: Layers = read_state(path).layers
        self.start(layers[0][0].shape[0])
        for b, own in enumerate(self._own):
            file = path.with_name(f"{path.name}.{b}")
            write_state(file, self.pick(layers, [b]))
            self.engine.load_state(own, file, unidentified=True)

    def _step(self, ids: NDArray[np.int64]) -> Array:
        """A step of the law's sequences, in groups of any size and order: logits (B, V)."""
        self._live()
        logits: dict[int, Array] = {}
        left = dict(zip(self._own, ids.tolist(), strict=True))
        while left:
            chosen = self._random.sample(list(left), self._random.randint(1, len(left)))
            room = min(len(self._others), SLOTS - len(chosen))
            beside = self._random.sample(self._others, self._random.randint(0, room))
            together = self._random.sample([*chosen, *beside], len(chosen) + len(beside))
            found = self.engine.step({number: left.pop(number, number % 7) for number in together})
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


def _joined(states: Sequence[Sequence[tuple[Array, ...]]]) -> Layers:
    """The state of several sequences, given that of each."""
    axes = EngineBackend.parts.values()
    return [
        tuple(np.concatenate(parts, axis) for parts, axis in zip(zip(*layers, strict=True), axes, strict=True))
        for layers in zip(*states, strict=True)
    ]


def _close(engine: Engine, *sequences: list[int]) -> None:
    for numbers in sequences:
        while numbers:
            engine.close(numbers.pop())
