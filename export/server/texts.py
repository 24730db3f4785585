"""Feeding and generating texts for requests: what is begun, what comes of it, and that all of it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.server.driver import Driver
from export.server.metrics import Metrics
from export.server.problems import Problem
from export.server.runs import Piece, Run, ended_by
from export.server.settings import Settings
from export.server.wire import Drawing
from export.serving.scheduler import Task
from sharnn_py.text import encode
from sharnn_py.vocabulary import Vocabulary

Prompt = NDArray[np.int64]


@dataclass(frozen=True)
class Service:
    """What every route needs."""

    driver: Driver
    metrics: Metrics
    settings: Settings
    name: str
    vocabulary: Vocabulary
    created: int
    """When the server began, in seconds since 1970."""

    def ids(self, text: str, what: str) -> Prompt:
        """The ids of a text. Raises `Problem` 413 for one that is too long, and `InputError` for unknown bytes."""
        limit = self.settings.max_prompt_bytes
        if len(data := text.encode()) > limit:
            raise Problem(413, f"the {what} has {len(data):,} bytes; this server takes {limit:,}")
        return encode(self.vocabulary, data)

    def check(self, request: Drawing) -> None:
        """Raise `Problem` for more than this server draws."""
        if request.max_tokens > self.settings.max_tokens:
            raise Problem(
                400, f"max_tokens is {request.max_tokens:,}; this server draws at most {self.settings.max_tokens:,}"
            )

    def feed(self, sequence: int, prompt: Prompt) -> Task:
        """A task that only feeds a prompt. To be called on the engine's thread."""
        return self.driver.scheduler.submit(sequence, prompt)

    def generate(self, sequence: int, prompt: Prompt, request: Drawing, seed: int | None) -> Task:
        """A task that feeds a prompt and generates a text. To be called on the engine's thread."""
        return self.driver.scheduler.submit(
            sequence,
            prompt,
            request.max_tokens,
            temperature=request.temperature,
            top_k=request.top_k,
            top_p=request.top_p,
            seed=seed,
            stop=request.stops,
        )


class Work:
    """The runs of one request, the sequences that were opened for it, and the time it has.

    To be used in `async with`, whose end ends all of them.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue()
        self._runs: list[Run] = []
        self._left: set[int] = set()
        self._opened: list[int] = []
        self._began, self._drawn = time.monotonic(), False

    async def __aenter__(self) -> Work:
        # Not `wait_for`, which before Python 3.12 forgets that it was cancelled if a piece comes at that moment.
        self._timer = asyncio.get_running_loop().call_later(self.service.settings.max_seconds, self._expire)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        driver = self.service.driver

        def end() -> None:
            driver.cancel(self._runs)
            for sequence in self._opened:
                driver.engine.close(sequence)

        driver.post(end)  # after whatever was asked for before, so that nothing is opened later

    def open(self, path: Path | None = None) -> int:
        """A new sequence, closed with the request, from the saved state at `path` or from nothing. To be called on the
        engine's thread."""
        self._opened.append(self.service.driver.engine.open(path))
        return self._opened[-1]

    def fork(self, sequence: int) -> int:
        """A copy of a sequence, closed with the request. To be called on the engine's thread."""
        self._opened.append(self.service.driver.engine.fork(sequence))
        return self._opened[-1]

    def release(self, sequence: int) -> int:
        """A sequence that was opened for this request, and is to live on after it."""
        self._opened.remove(sequence)
        return sequence

    def start(self, number: int, begin: Callable[[], Task], top: int | None = None, *, measured: bool = False) -> Run:
        """Enqueue a run of this request; `number` is its own among the request's. The rest is as in `Run`."""
        run = Run(number, begin, self._pieces, top=top, measured=measured)
        self._runs.append(run)
        self._left.add(number)
        self.service.driver.enqueue(run)
        return run

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """What comes of the runs, until all have ended. Raises what ended one, and `Problem` 504 after the time."""
        while self._left:
            piece = await self._pieces.get()
            if piece.error is not None:
                raise piece.error
            if piece.ended:
                self._left.discard(piece.run)
            if piece.drawn and not self._drawn:
                self._drawn = True
                self.service.metrics.first.observe(time.monotonic() - self._began)
            yield piece

    def _expire(self) -> None:
        limit = self.service.settings.max_seconds
        error = Problem(504, f"the request took more than {limit} seconds, all that this server gives")
        self._pieces.put_nowait(ended_by(error))
