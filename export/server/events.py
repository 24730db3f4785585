"""Answers that come in pieces, and clients that leave before the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from export.server import problems
from export.server.problems import ClientLeft

R = TypeVar("R")
E = TypeVar("E", bound=BaseModel)
DONE = "data: [DONE]\n\n"


class EventStream(StreamingResponse):
    """Server-sent events, ended by `[DONE]`. A client that does not read them is left after `seconds`."""

    def __init__(self, events: AsyncGenerator[BaseModel, None], seconds: float) -> None:
        self._lines, self._seconds = _lines(events), seconds
        super().__init__(self._lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.wait_for(super().__call__(scope, receive, send), self._seconds)
        except asyncio.TimeoutError:
            return  # which closes the connection, as the answer is not complete
        finally:
            await self._lines.aclose()


async def streamed(request: Request, events: AsyncGenerator[E, None], seconds: float) -> EventStream:
    """The answer that consists of `events`. Raises what goes wrong before the first, so that the status tells it."""
    try:
        first = await while_connected(request, anext(events))
    except BaseException:
        await events.aclose()
        raise
    return EventStream(_after(first, events), seconds)


async def _after(first: E, events: AsyncGenerator[E, None]) -> AsyncGenerator[E, None]:
    async with aclosing(events):
        yield first
        async for event in events:
            yield event


async def _lines(events: AsyncGenerator[BaseModel, None]) -> AsyncGenerator[str, None]:
    """The events as lines. What goes wrong once it began can only be told in an event."""
    async with aclosing(events):
        try:
            async for event in events:
                yield f"data: {event.model_dump_json(exclude_none=True)}\n\n"
        except Exception as error:
            problem = problems.of(error)
            told = problems.ErrorBody.model_validate(problems.body(problem.status, problem.message))
            yield f"data: {told.model_dump_json()}\n\n"
    yield DONE


async def while_connected(request: Request, work: Awaitable[R]) -> R:
    """The result of `work`, which is cancelled if the client leaves. Raises `ClientLeft` then."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeft
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
