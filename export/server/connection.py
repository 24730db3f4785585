"""HTTP/1.1 whose clients have to send a request's head in time."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from export.server.problems import answer

HEAD_SECONDS = 10.0
"""How long the head of a request may take, from the connection, or, of a later one, from its first byte."""


class Connection(H11Protocol):
    """A connection that is answered and closed if what comes is not a request in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        if self._idle() and self._late is None:
            self._expect()
        super().data_received(data)
        if not self._idle():
            self._arrived()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect(self) -> None:
        self._late = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _arrived(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_slow(self) -> None:
        self._late = None
        if self._idle() and not self.transport.is_closing():
            body = answer(408, f"the head of the request did not arrive within {HEAD_SECONDS:.0f} seconds").body
            head = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + bytes(body))
            self.transport.close()
