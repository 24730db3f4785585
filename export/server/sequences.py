"""`/v1/sequences`: texts that live on the server, where a long one costs no more to go on from than a short one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from export.server import problems
from export.server.events import streamed, while_connected
from export.server.logprobs import Spelling
from export.server.problems import Problem
from export.server.registry import Living, Registry
from export.server.runs import Run
from export.server.scores import scored
from export.server.snapshots import Snapshots
from export.server.texts import Prompt, Service, Work
from export.server.wire import (
    Append,
    Deleted,
    Drawing,
    Generated,
    LogProbs,
    NewSequence,
    Restore,
    Score,
    ScoreRequest,
    Sequence,
    Sequences,
    Snapshot,
)
from sharnn_py.text import NEWLINE

ONE = "/v1/sequences/{id}"


def router(service: Service, registry: Registry, snapshots: Snapshots | None) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["Sequences"])
    engine, driver = service.driver.engine, service.driver
    timed = problems.documented(404, 409, 504)

    @routes.post("/v1/sequences", status_code=201, responses=problems.documented(404, 504))
    async def create(asked: NewSequence, request: Request) -> Sequence:
        """Begin a sequence, with nothing or with a snapshot, and let it read a text."""
        registry.check_room()
        ids = service.ids(asked.text, "text")
        async with Work(service) as work:
            number = await driver.call(lambda: opened(work, snapshots, asked.snapshot))
            if len(ids):
                await while_connected(request, read(work, number, ids))
            registry.check_room()  # others may have come meanwhile
            living = registry.add(work.release(number), len(ids))
        return await driver.call(living.told)

    @routes.get("/v1/sequences", responses=problems.documented())
    async def every() -> Sequences:
        """All sequences that are open."""
        return Sequences(data=await driver.call(lambda: [living.told() for living in registry.all()]))

    @routes.get(ONE, responses=problems.documented(404))
    async def one(id: str) -> Sequence:
        """A sequence."""
        return await driver.call(registry.get(id).told)

    @routes.delete(ONE, responses=problems.documented(404, 409))
    async def delete(id: str) -> Deleted:
        """Forget a sequence."""
        living = registry.remove(id)
        await driver.call(lambda: engine.close(living.number))
        return Deleted(id=id)

    @routes.post(f"{ONE}/append", responses=timed)
    async def append(id: str, asked: Append, request: Request) -> Sequence:
        """Let a sequence read on. It has read all of the text, or, if that fails or the client leaves, none of it."""
        ids = service.ids(asked.text, "text")
        with registry.free(id) as living:
            async with Work(service) as work:
                copy = await driver.call(lambda: work.fork(living.number))
                await while_connected(request, read(work, copy, ids))
                before, living.number = living.number, work.release(copy)
                living.fed += len(ids)
                driver.post(lambda: engine.close(before))
        return await driver.call(living.told)

    @routes.post(f"{ONE}/generate", response_model=Generated, responses=timed)
    async def generate(id: str, asked: Drawing, request: Request) -> Generated | Response:
        """Go on with a sequence. What was drawn when the client leaves belongs to it."""
        service.check(asked)
        living = registry.get(id)
        pieces = generated(service, registry, living, asked)
        if asked.stream:
            return await streamed(request, pieces, service.settings.max_seconds)
        return await while_connected(request, joined(pieces))

    @routes.post(f"{ONE}/score", responses=problems.documented(404, 504))
    async def score(id: str, asked: ScoreRequest, request: Request) -> Score:
        """How likely a text is after what a sequence has read. The sequence stays as it is."""
        living = registry.get(id)
        return await while_connected(request, scored(service, asked.text, living.number))

    @routes.post(f"{ONE}/fork", status_code=201, responses=problems.documented(404))
    async def fork(id: str) -> Sequence:
        """A new sequence that goes on from where this one is."""
        registry.check_room()
        living = registry.get(id)
        number, tokens = await driver.call(lambda: (engine.fork(living.number), living.tokens))
        return registry.add(number, tokens).told()

    @routes.post(f"{ONE}/snapshot", status_code=201, responses=problems.documented(404))
    async def snapshot(id: str) -> Snapshot:
        """Save the state of a sequence. It is on the disk once this is answered."""
        living, saved = registry.get(id), kept(snapshots)
        name, size = await driver.call(lambda: saved.save(living.number))
        return Snapshot(id=name, bytes=size)

    @routes.post(f"{ONE}/restore", responses=problems.documented(404, 409))
    async def restore(id: str, asked: Restore) -> Sequence:
        """Let a sequence go on from a snapshot."""
        with registry.free(id) as living:
            saved = kept(snapshots)
            load = partial(engine.load_state, living.number)
            await driver.call(lambda: saved.use(asked.snapshot, load))
            living.fed = 0
        return await driver.call(living.told)

    return routes


def kept(snapshots: Snapshots | None) -> Snapshots:
    """The snapshots. Raises `Problem` 404 if the server keeps none."""
    if snapshots is None:
        raise Problem(404, "this server keeps no snapshots; start it with --state FOLDER")
    return snapshots


def opened(work: Work, snapshots: Snapshots | None, snapshot: str | None) -> int:
    """A new one of the engine's sequences, from a snapshot if one is named. To be called on the engine's thread."""
    return work.open() if snapshot is None else kept(snapshots).use(snapshot, work.open)


async def read(work: Work, sequence: int, ids: Prompt) -> None:
    """Let one of the engine's sequences read a text."""
    work.service.driver.check_room(1)
    work.start(0, lambda: work.service.feed(sequence, ids))
    async with aclosing(work.pieces()) as pieces:
        async for _ in pieces:
            pass


async def generated(
    service: Service, registry: Registry, living: Living, asked: Drawing
) -> AsyncGenerator[Generated, None]:
    """The pieces of the text that a sequence goes on with."""
    driver, empty = service.driver, service.ids("", "text")
    with registry.free(living.id):
        driver.check_room(1)
        run: Run | None = None
        try:
            async with Work(service) as work:
                spelling = Spelling(service.vocabulary, NEWLINE)
                begin = partial(service.generate, living.number, empty, asked, asked.seed)
                living.run = run = work.start(0, begin, asked.logprobs)
                async with aclosing(work.pieces()) as pieces:
                    async for piece in pieces:
                        likely = spelling.logprobs(piece.likely) if piece.likely else None
                        yield Generated(
                            text=piece.text, tokens=len(piece.tokens), finish_reason=piece.ended, logprobs=likely
                        )
        finally:
            if run is not None:
                driver.post(partial(living.settle, run))  # after the run was ended, which was posted before


async def joined(pieces: AsyncGenerator[Generated, None]) -> Generated:
    """All pieces as one."""
    async with aclosing(pieces):
        found = [piece async for piece in pieces]
    return Generated(
        text="".join(piece.text for piece in found),
        tokens=sum(piece.tokens for piece in found),
        finish_reason=found[-1].finish_reason,
        logprobs=LogProbs.joined([piece.logprobs for piece in found]),
    )
