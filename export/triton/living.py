"""Sequences of Triton's clients on an engine, by their correlation ids: begun, fed, and forgotten."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.serving.engine import Engine
from sharnn_py.errors import CheckpointError, InputError, SharnnError
from sharnn_py.session import Logits, check_ids, ids_of

Id = int | str


@dataclass(frozen=True)
class Segment:
    """A request: what is to be fed to a sequence."""

    id: Id
    """The correlation id."""
    ids: NDArray[np.int64] | None = None
    """(T,) tokens, or None."""
    text: bytes | None = None
    """The same as text, or None."""
    start: bool = False
    """Whether the sequence begins."""
    end: bool = False
    """Whether it ends."""
    snapshot: bytes | None = None
    """What it begins from, if not from nothing."""
    save: bool = False
    """Whether a snapshot is wanted of it, as it is afterwards."""


@dataclass(frozen=True)
class Answer:
    """What came of a segment."""

    logits: Logits
    """(T, V) float32 logits of the next token after each."""
    saved: bytes | None
    """The sequence as it is afterwards, if asked for: a file as `Session.save_state` writes it."""


@dataclass
class _Living:
    number: int
    used: float


class LivingSequences:
    """The open sequences of an engine, by correlation ids; those that nobody uses for `idle` seconds are forgotten."""

    def __init__(self, engine: Engine, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.engine = engine
        self._idle, self._clock = idle, clock
        self._living: dict[Id, _Living] = {}

    def feed(self, segments: Sequence[Segment]) -> list[Answer | SharnnError]:
        """Feed these, each of another sequence: all of one token in one run, and each of more in its own.

        What is wrong with one is its answer, and its sequence is as it was, or, where it was to begin, was not begun.
        """
        self._forget_idle()
        answers: dict[int, Answer | SharnnError] = {}
        steps: dict[int, tuple[int, int]] = {}
        for k, segment in enumerate(segments):
            try:
                number, ids = self._ready(segment)
                if len(ids) == 1:
                    steps[k] = number, int(ids[0])
                else:
                    vocab = self.engine.config.vocab
                    logits = self.engine.feed(number, ids) if len(ids) else np.zeros((0, vocab), np.float32)
                    answers[k] = Answer(logits, None)
            except SharnnError as error:
                answers[k] = error
        answers |= self._step(steps)
        return [self._settled(segment, answers[k]) for k, segment in enumerate(segments)]

    def _ready(self, segment: Segment) -> tuple[int, NDArray[np.int64]]:
        """The number of a segment's sequence, which was begun if it had to be, and the segment's ids."""
        if segment.start:
            self._forget(segment.id)
            self._living[segment.id] = _Living(self._begun(segment.snapshot), self._clock())
        living = self._living.get(segment.id)
        if living is None:
            raise InputError(
                f"sequence {segment.id} is not open: it could not be begun, or was idle for {self._idle:g} seconds; "
                "begin it again with START"
            )
        living.used = self._clock()
        if segment.snapshot is not None and not segment.start:
            raise InputError("SNAPSHOT is what a sequence begins from; send it with START")
        return living.number, self._ids(segment)

    def _begun(self, snapshot: bytes | None) -> int:
        if snapshot is None:
            return self.engine.open()
        with tempfile.TemporaryDirectory(prefix="sharnn-") as folder:
            file = Path(folder) / "SNAPSHOT"
            file.write_bytes(snapshot)
            try:
                return self.engine.open(file)
            except (InputError, CheckpointError) as error:  # in which a client's bytes have a name of the server's
                raise type(error)(str(error).replace(str(file), file.name)) from error

    def _ids(self, segment: Segment) -> NDArray[np.int64]:
        if (segment.ids is not None) == (segment.text is not None):
            if segment.ids is None and (segment.snapshot is not None or segment.save or segment.end):
                return np.zeros(0, np.int64)
            raise InputError("a request has a segment, in IDS or in TEXT, and not in both")
        if segment.text is not None:
            return ids_of(self.engine.vocabulary, segment.text, "TEXT")
        assert segment.ids is not None
        if not segment.ids.size:
            raise InputError("IDS is empty; a segment has at least one token")
        return check_ids(segment.ids, self.engine.config.vocab)

    def _step(self, steps: dict[int, tuple[int, int]]) -> dict[int, Answer | SharnnError]:
        due, answers = dict(steps), dict[int, Answer | SharnnError]()
        for k, (number, _) in steps.items():
            try:
                self.engine.check_step(number)
            except SharnnError as error:
                answers[k] = error
                del due[k]
        if due:
            logits = self.engine.step(dict(due.values()))
            answers |= {k: Answer(logits[number][None], None) for k, (number, _) in due.items()}
        return answers

    def _settled(self, segment: Segment, answer: Answer | SharnnError) -> Answer | SharnnError:
        """The answer, with the snapshot if one is wanted; the sequence is forgotten if it ends or was not begun."""
        living = self._living.get(segment.id)
        if isinstance(answer, Answer) and segment.save and living is not None:
            with tempfile.TemporaryDirectory(prefix="sharnn-") as folder:
                file = Path(folder) / "SAVED"
                self.engine.save_state(living.number, file)
                answer = Answer(answer.logits, file.read_bytes())
        if segment.end or (segment.start and isinstance(answer, SharnnError)):
            self._forget(segment.id)
        return answer

    def _forget(self, id: Id) -> None:
        if (living := self._living.pop(id, None)) is not None:
            self.engine.close(living.number)

    def _forget_idle(self) -> None:
        latest = self._clock() - self._idle
        for id in [id for id, living in self._living.items() if living.used < latest]:
            self._forget(id)
