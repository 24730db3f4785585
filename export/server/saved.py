"""`/v1/snapshots`: saved states, which other servers of the same model can go on from."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import FileResponse

from export.server import problems
from export.server.problems import Problem
from export.server.sequences import kept
from export.server.snapshots import Snapshots
from export.server.texts import Service
from export.server.wire import Deleted, Snapshot
from export.server.wire import Snapshots as Listed

BINARY = "application/octet-stream"
BYTES = {"type": "string", "format": "binary"}
ONE = "/v1/snapshots/{id}"


def router(service: Service, snapshots: Snapshots | None) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["Snapshots"])
    driver = service.driver

    @routes.get("/v1/snapshots", responses=problems.documented(404))
    async def every() -> Listed:
        """All snapshots, the newest last."""
        return Listed(data=[Snapshot(id=name, bytes=size) for name, size in kept(snapshots).all()])

    @routes.post(
        "/v1/snapshots",
        status_code=201,
        responses=problems.documented(404),
        openapi_extra={"requestBody": {"required": True, "content": {BINARY: {"schema": BYTES}}}},
    )
    async def receive(request: Request) -> Snapshot:
        """Keep a snapshot that another server has saved."""
        saved, data = kept(snapshots), await request.body()
        if not data:
            raise Problem(400, "the body is empty; it has to be a snapshot, as GET /v1/snapshots/ID gives it")
        name, size = await driver.call(lambda: saved.receive(data))
        return Snapshot(id=name, bytes=size)

    @routes.get(
        ONE,
        response_class=FileResponse,
        responses={200: {"content": {BINARY: {}}}, **problems.documented(404)},
    )
    async def one(id: str) -> FileResponse:
        """The bytes of a snapshot."""
        return FileResponse(kept(snapshots).path(id), media_type=BINARY)

    @routes.delete(ONE, responses=problems.documented(404))
    async def delete(id: str) -> Deleted:
        """Delete a snapshot for good. Sequences that went on from it stay."""
        kept(snapshots).delete(id)
        return Deleted(id=id)

    return routes
