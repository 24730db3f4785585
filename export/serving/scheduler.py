"""Texts of many sequences on one engine: who waits, whose prompt is fed next, and one step for all that are due."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.serving.engine import Engine
from sharnn_py.errors import ConfigError, InputError, SharnnError
from sharnn_py.generated_text import GeneratedText
from sharnn_py.sampling import Sampling
from sharnn_py.session import SEGMENT, Logits, Tokens, at_least, check_ids, ids_of
from sharnn_py.stop import Stop

LEAST, MOST = 8, 256
"""Steps of a part of a prompt: of the first beside texts, and of the longest. A run costs as much as some steps."""


class Task:
    """What is to be done to one sequence: feed a prompt, then draw and feed tokens. `Scheduler.submit` makes it."""

    def __init__(
        self,
        sequence: int,
        prompt: NDArray[np.int64],
        n: int,
        sampling: Sampling,
        seed: int | None,
        stop: Sequence[str],
    ) -> None:
        self.sequence = sequence
        """The number of the sequence."""
        self.ended = False
        """Whether it is done, was cancelled, or failed."""
        self._prompt, self._n, self._sampling, self._seed, self._stop = prompt, n, sampling, seed, stop
        self._fed = 0
        self._parts: Iterator[Logits] = iter(())
        self._text: GeneratedText | None = None
        """The text that is generated; None until the prompt was fed."""
        self._next: Logits | None = None
        """Logits (V,) of the next token; None where nothing was fed yet."""


@dataclass(frozen=True)
class Progress:
    """What was fed to the sequence of a task, and how that ended it, if it did."""

    task: Task
    tokens: NDArray[np.int64]
    """(T,) ids, of the prompt or, one, drawn."""
    predictions: Logits
    """(T, V) the logits that each of them was predicted by; NaN for the first one of a sequence."""
    drawn: bool
    """Whether it was drawn, rather than of the prompt."""
    text: str = ""
    """What can now be read of the generated text."""
    ended: Literal["length", "stop"] | None = None
    """Why the task has ended: it has the tokens asked for, or reached a text of `stop`; None if not, or by error."""
    error: SharnnError | None = None
    """What ended the task; then nothing was fed."""


class Scheduler:
    """Advances the tasks of many sequences: each time by a part of one prompt and by one step of all that generate.

    A text is the one that `Session.generate` gives for the same prompt, seed and `segment`, whatever else runs, but for
    the rounding of larger products. As many tasks are active as the engine has slots, in the order in which they came;
    prompts of active tasks take turns, in parts that take at most `stall` times as long as a step of the texts.

    `advance` is for one thread; `submit` and `cancel` may be called from others meanwhile.
    """

    def __init__(self, engine: Engine, *, segment: int = SEGMENT, stall: float = 1.0) -> None:
        """Prompts are segments of up to `segment` steps, fed in parts (`Engine.feed_in_parts`).

        Raises `ConfigError` for a `segment` below 1 and a `stall` that is not above 0.
        """
        if not stall > 0:
            raise ConfigError(f"stall is {stall}; it must be a number above 0")
        self.engine = engine
        self._segment, self._stall = at_least(1, "segment", segment), stall
        self._part = LEAST
        self._step_takes: float | None = None
        """Seconds, smoothed over some steps; None while there are no texts."""
        self._lock = threading.Lock()
        self._queue: deque[Task] = deque()
        self._prompts: deque[Task] = deque()
        self._texts: list[Task] = []

    def submit(
        self,
        sequence: int,
        prompt: str | bytes | Tokens = "",
        n: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Task:
        """Feed a prompt, a text or ids (T,), to an open sequence of the engine, then draw and feed `n` tokens.

        The parameters are those of `Session.generate`; without a prompt the text goes on where the sequence stands.
        Raises `InputError` for a prompt that is empty where nothing was fed before, or cannot be encoded, a sequence
        that is not open, or one that has a task; `ConfigError` for settings out of range.
        """
        Stop(stop)
        sampling, n = Sampling(temperature, top_k, top_p), at_least(0, "n", n)
        seed = None if seed is None else at_least(0, "seed", seed)
        begun, vocabulary = self.engine.continuation(sequence) is not None, self.engine.vocabulary
        if isinstance(prompt, (str, bytes)):
            ids = ids_of(vocabulary, prompt, "prompt", or_else=begun)
        else:
            ids = np.asarray(prompt)
            if ids.ndim != 1 or not (ids.size or begun):
                raise InputError(f"the prompt has shape {ids.shape}; it must be ids (T,), at least one")
            ids = check_ids(ids, self.engine.config.vocab) if ids.size else np.zeros(0, np.int64)
        if n and vocabulary is None:
            raise InputError("the model has no vocabulary.json; without it ids cannot be turned into text")
        task = Task(sequence, ids, n, sampling, seed, stop)
        with self._lock:
            if any(other.sequence == sequence for other in (*self._queue, *self._prompts, *self._texts)):
                raise InputError(f"sequence {sequence} has a task; wait until it has ended, or fork the sequence")
            self._queue.append(task)
        return task

    def cancel(self, task: Task) -> None:
        """End a task: nothing more is fed for it. Its sequence stays open, as it is."""
        with self._lock:
            task.ended = True
            for tasks in (self._queue, self._prompts, self._texts):
                if task in tasks:
                    tasks.remove(task)

    @property
    def waiting(self) -> int:
        """How many tasks wait for others to end."""
        return len(self._queue)

    @property
    def active(self) -> int:
        """How many tasks have their prompts fed or their texts generated."""
        return len(self._prompts) + len(self._texts)

    def advance(self) -> list[Progress]:
        """Feed a part of one prompt, and a token to every text; what came of it. Nothing if there is no task.

        What goes wrong with one task ends that one. Raises `ProviderError` if the device fails.
        """
        with self._lock:
            while self._queue and self.active < self.engine.slots:
                self._prompts.append(self._queue.popleft())
            filled = self._prompts.popleft() if self._prompts else None
            if filled is not None:
                self._prompts.append(filled)
        found = [] if filled is None else self._fill(filled)
        with self._lock:
            due = list(self._texts)
        start = time.perf_counter()
        found += self._step(due)
        self._clock(time.perf_counter() - start if due else None)
        with self._lock:
            for progress in found:
                if progress.ended or progress.error:
                    progress.task.ended = True
            self._prompts = deque(task for task in self._prompts if not task.ended and task._text is None)
            self._texts = [task for task in self._texts if not task.ended]
            if filled is not None and filled._text is not None and not filled.ended:
                self._texts.append(filled)
        return found

    def _clock(self, took: float | None) -> None:
        """Count the seconds of a step, or that there was none."""
        if took is not None and self._step_takes is None:
            self._part = min(self._part, LEAST)  # of parts that stalled nobody
        before = took if self._step_takes is None else self._step_takes
        self._step_takes = None if took is None or before is None else 0.8 * before + 0.2 * took

    def _fill(self, task: Task) -> list[Progress]:
        """Feed the next part of the prompt; with the last, or without one, the text can begin."""
        engine, tokens, predictions = self.engine, task._prompt[:0], np.zeros((0, self.engine.config.vocab), np.float32)
        try:
            if not task._fed and (last := engine.continuation(task.sequence)) is not None:
                task._next = last.logits[0]
            if task._fed < len(task._prompt):
                start = time.perf_counter()
                logits = self._next_part(task)
                self._adapt(time.perf_counter() - start, len(logits))
                tokens = task._prompt[task._fed : task._fed + len(logits)]
                first = np.full_like(logits[:1], np.nan) if task._next is None else task._next[None]
                predictions = np.concatenate([first, logits[:-1]])
                task._fed, task._next = task._fed + len(logits), logits[-1]
            if task._fed < len(task._prompt):
                return [Progress(task, tokens, predictions, drawn=False)]
            if task._n:
                left = engine.continuation(task.sequence)
                assert left is not None
                assert engine.vocabulary is not None
                prompted = len(task._prompt) > 0
                task._text = GeneratedText.after(engine.vocabulary, left, prompted, task._n, task._seed, task._stop)
        except SharnnError as error:
            return [Progress(task, tokens[:0], predictions[:0], drawn=False, error=error)]
        ended: Literal["length"] | None = None if task._n else "length"
        return [Progress(task, tokens, predictions, drawn=False, ended=ended)]

    def _next_part(self, task: Task) -> Logits:
        logits = next(task._parts, None)
        if logits is None:
            segment = task._prompt[task._fed : task._fed + self._segment]
            task._parts = self.engine.feed_in_parts(task.sequence, segment, lambda: self._part)
            logits = next(task._parts)
        return logits

    def _adapt(self, took: float, steps: int) -> None:
        """Let the next part be of fewer or more steps, given how long one of so many took."""
        allowed = math.inf if self._step_takes is None else self._stall * self._step_takes
        if took > allowed:
            self._part = max(1, steps // 2)
        elif took < allowed / 2 and steps >= self._part:  # a run has a cost of its own, so twice as many take less
            self._part = min(MOST, 2 * self._part)

    def _step(self, due: Sequence[Task]) -> list[Progress]:
        """Draw a token of each, feed them in one step, and read."""
        drawn, found = {}, []
        with self.engine.lock:  # so that no sequence is closed between the check and the step
            for task in due:
                assert task._text is not None
                assert task._next is not None
                try:
                    self.engine.check_step(task.sequence)
                    drawn[task] = task._text.draw(task._next, task._sampling)
                except SharnnError as error:
                    nothing = np.zeros((0, len(task._next)), np.float32)
                    found.append(Progress(task, np.zeros(0, np.int64), nothing, drawn=True, error=error))
            if not drawn:
                return found
            logits = self.engine.step({task.sequence: token for task, (token, _) in drawn.items()})
            for task in drawn:
                text = task._text
                assert text is not None
                self.engine.drawn(task.sequence, text.draws.seed, text.draws.drawn, text.decoder.unfinished)
        for task, (token, piece) in drawn.items():
            text, predicted = task._text, task._next
            assert text is not None
            assert predicted is not None
            task._next = logits[task.sequence]
            ended: Literal["length", "stop"] | None = None
            if text.ended:
                ended = "stop" if text.stop.reached else "length"
            found.append(Progress(task, np.array([token]), predicted[None], drawn=True, text=piece, ended=ended))
        return found
