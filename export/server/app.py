"""The application: an engine, its routes, and what stands before them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from export.server import completions, problems, saved, scores, sequences
from export.server.driver import Driver
from export.server.guard import Guard
from export.server.metrics import Metrics
from export.server.problems import Problem
from export.server.registry import Registry
from export.server.settings import Settings
from export.server.snapshots import Snapshots
from export.server.texts import Service
from export.server.wire import Model, Models, Status
from export.serving.engine import Engine
from sharnn_py.errors import InputError

PAGE = Path(__file__).parent / "page"
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
"""What the page may load: nothing from elsewhere."""


def application(engine: Engine, name: str, settings: Settings) -> ASGIApp:
    """What an ASGI server runs. Nothing else may use the engine meanwhile.

    Raises `InputError` for a model without a vocabulary, and `OSError` for a folder of snapshots that cannot be used.
    """
    if engine.vocabulary is None:
        raise InputError("the model has no vocabulary.json; without it text cannot be turned into ids")
    metrics = Metrics()
    driver = Driver(engine, settings.queue, metrics)
    service = Service(driver, metrics, settings, name, engine.vocabulary, int(time.time()))
    registry = Registry(service)
    snapshots = None if settings.state is None else Snapshots(settings.state, engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        driver.start()
        yield
        driver.stop()
        if snapshots is not None:
            snapshots.remove()

    app = FastAPIOffline(  # whose /docs loads nothing from elsewhere
        title="sharnn",
        description="Sequences of one SHA-RNN, as many as there are slots in every step.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
    )
    problems.install(app)
    app.include_router(completions.router(service))
    app.include_router(sequences.router(service, registry, snapshots))
    app.include_router(saved.router(service, snapshots))
    app.include_router(scores.router(service))
    _add_what_is_served(app, service)
    _add_how_it_does(app, service, registry)
    _add_page(app)
    app.add_middleware(Counted, metrics=metrics)
    longest = max(settings.max_body, 0 if snapshots is None else largest_state(engine))
    return Guard(app, settings, longest)


def largest_state(engine: Engine) -> int:
    """More bytes than any snapshot of the model has."""
    config = engine.config
    rows = 2 * config.layers + len(config.attention_layers or ()) * config.max_memory
    return 8 * (rows * config.emb + config.vocab) + (64 << 10)


def _add_what_is_served(app: FastAPI, service: Service) -> None:
    engine = service.driver.engine
    model = Model(
        id=service.name,
        created=service.created,
        identity=engine.identity,
        vocabulary=len(service.vocabulary),
    )

    @app.get("/v1/models", tags=["OpenAI's interface"], responses=problems.documented())
    async def models() -> Models:
        """The model that is served."""
        return Models(data=[model])

    @app.get("/v1/models/{id}", tags=["OpenAI's interface"], responses=problems.documented(404))
    async def one(id: str) -> Model:
        """The model that is served, by its id."""
        if id != model.id:
            raise Problem(404, f"there is no model {id[:64]!r} here; this server has {model.id!r}")
        return model


def _add_how_it_does(app: FastAPI, service: Service, registry: Registry) -> None:
    driver, metrics = service.driver, service.metrics

    def status() -> Status:
        return Status(
            model=service.name,
            slots=driver.engine.slots,
            active=driver.active,
            waiting=driver.waiting,
            sequences=len(registry),
            in_memory=driver.engine.in_memory,
            tokens=driver.fed,
        )

    @app.get("/v1/status", tags=["State of the server"], responses=problems.documented())
    async def now() -> Status:
        """What the server does at the moment."""
        return status()

    @app.get("/health", tags=["State of the server"], responses=problems.documented())
    async def health() -> dict[str, str]:
        """Whether the server can compute: 200, or 503 with the reason."""
        if driver.failure is not None:
            raise Problem(503, driver.failure)
        return {"status": "ok"}

    @app.get("/metrics", tags=["State of the server"], response_class=Response)
    async def read() -> Response:
        """Counters for Prometheus."""
        now = status()
        for name, gauge in metrics.gauges.items():
            gauge.set(getattr(now, name))
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI) -> None:
    app.mount("/assets", StaticFiles(directory=PAGE), "assets")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})


class Counted:
    """Counts requests by route, not by path, which holds ids."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.requests.labels(scope["method"], route, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, counted)
