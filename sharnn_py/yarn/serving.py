"""The page of an index on a server of this machine alone, which searches by the model for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sharnn_py.errors import InputError, SharnnError
from sharnn_py.yarn.finding import Finder
from sharnn_py.yarn.page import render
from sharnn_py.yarn.reading import Reader

FOUND = 50
"""How many phrases a search finds."""
THREAD = 30
"""How many phrases a thread has."""
LONGEST = 10_000
"""Bytes of a request's path, of which more are refused."""


def serve_page(finder: Finder, reader: Reader, port: int, tell: Callable[[str], None]) -> None:
    """Serve the page on port `port` of 127.0.0.1, any free one for 0, until interrupted. Raises `OSError`."""
    with server(finder, reader, port) as served:
        tell(f"http://127.0.0.1:{served.server_address[1]}/ has the map; Ctrl-C ends it")
        try:
            served.serve_forever()
        except KeyboardInterrupt:
            tell("ended")


def server(finder: Finder, reader: Reader, port: int) -> ThreadingHTTPServer:
    """A server of the page, and of `find` and `walk`, that is not started yet."""
    page = render(finder, served=True).encode()
    lock = threading.Lock()  # the model reads one query at a time

    def find(asked: dict[str, str]) -> list[int]:
        words = asked.get("words", "")
        with lock:
            vector = finder.vector_of_words(words, reader)
        if asked.get("by") == "sense":
            return [found.id for found in finder.near(vector, FOUND)]
        return [found.id for found in finder.fused(words, vector, FOUND)]

    def walk(asked: dict[str, str]) -> list[int]:
        if not asked.get("id", "").isdecimal():
            raise InputError("id must be the number of a phrase")
        return [found.id for found in finder.walk(finder.phrase(asked["id"]), THREAD)]

    class Handler(BaseHTTPRequestHandler):
        """Answers for the page and its questions, and for nobody else's: the host must be this machine's name."""

        def do_GET(self) -> None:
            if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
                return self._answer(HTTPStatus.FORBIDDEN, b"asked of another host", "text/plain")
            asked = urlsplit(self.path)
            if asked.path == "/":
                return self._answer(HTTPStatus.OK, page, "text/html; charset=utf-8")
            answers = {"/find": find, "/walk": walk}
            if asked.path not in answers or len(self.path) > LONGEST:
                return self._answer(HTTPStatus.NOT_FOUND, b"nothing is here", "text/plain")
            body: dict[str, Any]
            try:
                body = {
                    "found": answers[asked.path]({name: values[0] for name, values in parse_qs(asked.query).items()})
                }
            except SharnnError as error:
                body = {"error": str(error)}
            return self._answer(HTTPStatus.OK, json.dumps(body).encode(), "application/json")

        def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of requests."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
