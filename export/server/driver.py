"""The thread that owns the engine: it advances all texts, and between two steps does what requests ask of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from export.server.metrics import Metrics
from export.server.problems import Problem
from export.server.runs import Run
from export.serving.engine import Engine
from export.serving.scheduler import Scheduler, Task
from sharnn_py.errors import SharnnError

R = TypeVar("R")
RETRY_SECONDS = 1
"""When a client that was refused may ask again."""


class Driver:
    """Runs of many requests on one engine, as many at a time as it has slots; the others wait in order.

    Nothing else may call the engine while the thread runs.
    """

    def __init__(self, engine: Engine, queue: int, metrics: Metrics) -> None:
        self.engine, self.scheduler = engine, Scheduler(engine)
        self.failure: str | None = None
        """Why nothing can be computed any more, if so."""
        self.fed = 0
        """How many tokens were fed so far."""
        self._queue, self._metrics = queue, metrics
        self._wake = threading.Condition()
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._waiting: deque[Run] = deque()
        self._runs: dict[Task, Run] = {}
        self._stopped = False
        self._thread = threading.Thread(target=self._drive, name="engine", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the step under way."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()

    @property
    def waiting(self) -> int:
        """How many runs wait for a slot."""
        return len(self._waiting)

    @property
    def active(self) -> int:
        """How many runs have a slot."""
        return len(self._runs)

    async def call(self, function: Callable[[], R]) -> R:
        """What `function` returns, called on the engine's thread between two steps. Raises what it raises."""
        return await asyncio.wrap_future(self.post(function))

    def post(self, function: Callable[[], R]) -> Future[R]:
        """Have `function` called on the engine's thread, after what was posted before."""
        future: Future[R] = Future()
        with self._wake:
            self._calls.append((future, function))
            self._wake.notify()
        return future

    def check_room(self, count: int) -> None:
        """Raise `Problem` 429 if, with so many runs more, too many would wait."""
        free = self.engine.slots - self.active - self.waiting
        if count > self._queue + free:
            raise Problem(429, f"{self.waiting} texts wait for a slot already; try again", RETRY_SECONDS)

    def enqueue(self, run: Run) -> None:
        """Have a run begun after those that wait."""
        with self._wake:
            self._waiting.append(run)
            self._wake.notify()

    def cancel(self, runs: Sequence[Run]) -> None:
        """End these, if they have not ended. To be called on the engine's thread, through `post`."""
        with self._wake:
            self._waiting = deque(run for run in self._waiting if run not in runs)
        for run in runs:
            if run.task is not None and run.task in self._runs:
                self.scheduler.cancel(run.task)
                del self._runs[run.task]

    def _drive(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped or self._calls or self._waiting or self._runs)
                if self._stopped:
                    return
                calls, self._calls = self._calls, deque()
            for future, function in calls:
                _answer(future, function)
            self._admit()
            if self._runs:
                self._advance()

    def _admit(self) -> None:
        while len(self._runs) < self.engine.slots:
            with self._wake:
                if not self._waiting:
                    return
                run = self._waiting.popleft()
            try:
                if self.failure is not None:
                    raise Problem(503, self.failure)
                run.task = run.begin()
                self._runs[run.task] = run
            except (SharnnError, Problem) as error:
                run.fail(error)
            except Exception as error:
                logging.getLogger("sharnn").exception("a text could not be begun")
                run.fail(error)

    def _advance(self) -> None:
        with self._metrics.step.time():
            try:
                found = self.scheduler.advance()
            except Exception as error:
                self._fail(error)
                return
        for progress in found:
            run = self._runs.get(progress.task)
            if run is None:
                continue
            self.fed += len(progress.tokens)
            self._metrics.tokens.labels("generated" if progress.drawn else "prompt").inc(len(progress.tokens))
            if progress.task.ended:
                del self._runs[progress.task]
            run.tell(progress)  # last: whoever hears of it may ask for the counts

    def _fail(self, error: Exception) -> None:
        """Nothing can be relied on after a step that failed: end all there is, and say so from now on."""
        logging.getLogger("sharnn").error("a step failed; the server has to be started again", exc_info=error)
        self.failure = f"the engine failed ({error}); the server has to be started again"
        for task, run in self._runs.items():
            self.scheduler.cancel(task)
            run.fail(Problem(503, self.failure))
        self._runs.clear()


def _answer(future: Future[Any], function: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)
