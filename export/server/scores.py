"""How likely a text is: by itself, as `sharnn score` says it, or after what a sequence has read."""

from __future__ import annotations

import math
from contextlib import aclosing

import numpy as np
from fastapi import APIRouter, Request

from export.server import problems
from export.server.events import while_connected
from export.server.texts import Prompt, Service, Work
from export.server.wire import Score, ScoreRequest
from export.serving.scheduler import Task
from sharnn_py.session import nats_of
from sharnn_py.text import NEWLINE


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["Scores"])

    @routes.post("/v1/score", response_model=Score, responses=problems.documented(504))
    async def score(asked: ScoreRequest, request: Request) -> Score:
        """How likely a text is to the model, with nothing before it."""
        return await while_connected(request, scored(service, asked.text, None))

    return routes


async def scored(service: Service, text: str, after: int | None) -> Score:
    """How likely `text` is after what the sequence `after` was fed, which stays as it is; without one, of nothing.

    Nothing is fed but what predicts: every token of the text but the last one.
    """
    ids = service.ids(text, "text")
    service.driver.check_room(1)
    async with Work(service) as work:
        copy: list[int] = []

        def begin() -> Task:
            copy.append(work.open() if after is None else work.fork(after))
            begun = service.driver.engine.continuation(copy[0]) is not None
            return service.feed(copy[0], ids[:-1] if begun else np.concatenate([[NEWLINE], ids[:-1]]))

        work.start(0, begin, measured=True)
        async with aclosing(work.pieces()) as pieces:
            nats = sum([piece.nats async for piece in pieces])
        nats += await service.driver.call(lambda: _last(service, copy[0], ids))
    size = len(text.encode())
    return Score(bits_per_byte=nats / math.log(2) / size, nats=nats, tokens=len(ids), bytes=size)


def _last(service: Service, sequence: int, ids: Prompt) -> float:
    left = service.driver.engine.continuation(sequence)
    assert left is not None
    return nats_of(left.logits, ids[-1:])
