"""Servers on the loopback, each with an engine of its own."""

import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from export import export_checkpoint
from export.server.app import application
from export.server.connection import Connection
from export.server.settings import Settings
from export.serving.engine import Engine
from sharnn_py import JULIA, PAPER, Config, Vocabulary, save_checkpoint
from tests.export.conftest import SIZES, WORDS, trained_looking


class Server:
    """A server in a thread, and a client of it."""

    def __init__(self, folder, slots, **settings):
        self.engine = Engine.load(folder, slots=slots, threads=1)
        self.app = application(self.engine, "model", Settings(**settings))
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = listening.getsockname()
        config = uvicorn.Config(self.app, http=Connection, lifespan="on", log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self.client = httpx.Client(base_url=self.url, timeout=60)
        wait_until(lambda: self._server.started)

    def close(self):
        self.client.close()
        self._server.should_exit = True
        self._thread.join(20)

    def post(self, path, **body):
        return self.client.post(path, json=body)

    def given(self, path, **body):
        answer = self.post(path, **body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def status(self):
        return self.client.get("/v1/status").json()

    def events(self, path, **body):
        """The data of every event of a stream."""
        with self.client.stream("POST", path, json={**body, "stream": True}) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            return [line.removeprefix("data: ") for line in answer.iter_lines() if line]

    def connect(self):
        return socket.create_connection(self.address, timeout=20)


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.fixture(scope="session", params=["paper"])
def semantics(request):
    """Whose semantics are served: the paper's, but where texts are compared both (`BOTH`)."""
    return request.param


BOTH = pytest.mark.parametrize("semantics", ["julia", "paper"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def unexported(semantics, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unexported")
    config = Config(**SIZES, semantics={"julia": JULIA, "paper": PAPER}[semantics])
    save_checkpoint(trained_looking(config), folder, Vocabulary(WORDS))
    return folder


@pytest.fixture(scope="session")
def served(unexported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    export_checkpoint(unexported, folder)
    return folder


@pytest.fixture(scope="session")
def serving(served):
    """Starts a server on the small export; to be used in `with`."""

    @contextlib.contextmanager
    def start(slots=4, **settings):
        server = Server(served, slots, **settings)
        try:
            yield server
        finally:
            server.close()

    return start


@pytest.fixture(scope="module")
def server(serving, tmp_path_factory):
    with serving(state=tmp_path_factory.mktemp("state")) as server:
        yield server
