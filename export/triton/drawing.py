"""Texts of many requests on one engine: a thread that advances them, and tells each request what came of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from export.serving.engine import Engine
from export.serving.scheduler import Progress, Scheduler, Task
from sharnn_py.errors import InputError


class Reader(Protocol):
    """Who asked for a text."""

    @property
    def left(self) -> bool:
        """Whether nobody waits for it any more."""

    def tell(self, text: str) -> None:
        """Take a part of it."""

    def end(self, error: str | None) -> None:
        """Know that it has ended, and, if so, by which error."""


@dataclass(frozen=True)
class _Wanted:
    reader: Reader
    prompt: bytes
    n: int
    settings: Mapping[str, Any]


class Drawing:
    """Texts that are generated together, as many at a time as the engine has slots; up to `queue` others wait."""

    def __init__(self, engine: Engine, queue: int, most_tokens: int) -> None:
        self._scheduler, self._queue, self._most = Scheduler(engine), queue, most_tokens
        self._wake = threading.Condition()
        self._wanted: deque[_Wanted] = deque()
        self._readers: dict[Task, Reader] = {}
        self._stopped = False
        self._thread = threading.Thread(target=self._drive, name="engine", daemon=True)
        self._thread.start()

    def want(self, reader: Reader, prompt: bytes, n: int, settings: Mapping[str, Any]) -> None:
        """Have a text generated; `settings` are those of `Scheduler.submit`.

        Raises `InputError` for more tokens than a request may ask for, and where too many wait.
        """
        if n > self._most:
            raise InputError(f"max_tokens is {n:,}; this server draws at most {self._most:,}")
        with self._wake:
            if len(self._readers) + len(self._wanted) >= self._scheduler.engine.slots + self._queue:
                raise InputError(f"{self._queue:,} texts wait for a slot already; try again in a second")
            self._wanted.append(_Wanted(reader, prompt, n, settings))
            self._wake.notify()

    def stop(self) -> None:
        """End, and every text with an error."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()
        for reader in (*self._readers.values(), *(wanted.reader for wanted in self._wanted)):
            reader.end("the model was unloaded before the text was complete")

    def _drive(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or self._wanted or self._readers)
                if self._stopped:
                    return
            self._admit()
            for task in [task for task, reader in self._readers.items() if reader.left]:
                self._end(task, None)
            try:
                found = self._scheduler.advance()
            except Exception as error:  # of the device; what is asked for next may or may not go better
                for task in list(self._readers):
                    self._end(task, f"the text could not be gone on with: {error}")
                continue
            for progress in found:
                self._pass_on(progress)

    def _admit(self) -> None:
        while len(self._readers) < self._scheduler.engine.slots:
            with self._wake:
                if not self._wanted:
                    return
                wanted = self._wanted.popleft()
            try:
                self._readers[self._begun(wanted)] = wanted.reader
            except Exception as error:
                wanted.reader.end(str(error))

    def _begun(self, wanted: _Wanted) -> Task:
        engine = self._scheduler.engine
        sequence = engine.open()
        try:
            return self._scheduler.submit(sequence, wanted.prompt, wanted.n, **wanted.settings)
        except BaseException:
            engine.close(sequence)
            raise

    def _pass_on(self, progress: Progress) -> None:
        task = progress.task
        if progress.text:
            self._readers[task].tell(progress.text)
        if task.ended:
            self._end(task, None if progress.error is None else str(progress.error))

    def _end(self, task: Task, error: str | None) -> None:
        reader = self._readers.pop(task)
        self._scheduler.cancel(task)
        try:
            self._scheduler.engine.close(task.sequence)
        except Exception as failed:  # of a device that has failed before: the thread goes on, for others wait
            error = error or f"the text's sequence could not be closed: {failed}"
        reader.end(error)
