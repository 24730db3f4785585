"""Sequences that live on the server, by id."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from export.server.problems import Problem
from export.server.runs import Run
from export.server.texts import Service
from export.server.wire import Sequence

_RETRY_SECONDS = 10


@dataclass
class Living:
    """One sequence of a client's."""

    number: int
    """The engine's."""
    fed: int = 0
    """Tokens that it was fed, but for those of `run`."""
    run: Run | None = None
    """What is being drawn, or was drawn last and is not counted yet."""
    busy: bool = False
    id: str = field(default_factory=lambda: f"seq_{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def tokens(self) -> int:
        """Tokens that it was fed. To be asked on the engine's thread."""
        return self.fed + (0 if self.run is None else self.run.drawn)

    def settle(self, run: Run) -> None:
        """Count what a run drew, which has ended; the next may have been asked for. To be called on the engine's
        thread."""
        self.fed += run.drawn
        if self.run is run:
            self.run = None

    def told(self) -> Sequence:
        """What a client is told of it. To be called on the engine's thread.

        It is busy until what was drawn is counted: a run whose client has left may draw once more before it is ended.
        """
        return Sequence(id=self.id, created=self.created, tokens=self.tokens, busy=self.busy or self.run is not None)


class Registry:
    """The sequences of all clients, by id. Whoever knows an id may use it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._living: dict[str, Living] = {}

    def __len__(self) -> int:
        return len(self._living)

    def all(self) -> list[Living]:
        """All, in the order in which they were opened."""
        return list(self._living.values())

    def add(self, number: int, tokens: int) -> Living:
        """Give an id to a sequence of the engine's."""
        living = Living(number, tokens)
        self._living[living.id] = living
        return living

    def remove(self, id: str) -> Living:
        """Forget a sequence. Raises `Problem` as `free` does."""
        with self.free(id) as living:
            return self._living.pop(living.id)

    @contextmanager
    def free(self, id: str) -> Iterator[Living]:
        """A sequence that nobody else uses meanwhile. Raises `Problem`: 404 if there is none, 409 if somebody does."""
        living = self.get(id)
        if living.busy:
            raise Problem(409, f"sequence {id} is being used by another request; wait for its end, or fork it before")
        living.busy = True
        try:
            yield living
        finally:
            living.busy = False

    def get(self, id: str) -> Living:
        """A sequence. Raises `Problem` 404 if there is none of that id."""
        if id not in self._living:
            raise Problem(404, f"there is no sequence {id[:64]!r}; it was deleted, or the server was started again")
        return self._living[id]

    def check_room(self) -> None:
        """Raise `Problem` 429 if there may be no more."""
        most = self._service.settings.max_sequences
        if len(self._living) >= most:
            raise Problem(429, f"{most:,} sequences are open, the most that this server keeps", _RETRY_SECONDS)
