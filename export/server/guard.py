"""What is refused before a request is read: wrong hosts and keys, and bodies that are too long or too slow."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from export.server.problems import answer
from export.server.settings import BODY_SECONDS, Settings

WITH_KEY = ("/v1/", "/metrics")
"""The paths that want a key, where there are keys. The page, the description and `/health` tell nothing."""


class Guard:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, settings: Settings, longest: int) -> None:
        """`longest` is the most bytes of any body."""
        self._app, self._settings, self._longest = app, settings, longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with what is wrong, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if self._settings.loopback and not is_local(headers.get("host", "")):
            # A page of another site whose name was made to lead here must not reach what needs no key.
            await answer(421, "this server answers under localhost only")(scope, receive, send)
        elif scope["path"].startswith(WITH_KEY) and not self._has_key(headers.get("authorization", "")):
            wanted = {"WWW-Authenticate": "Bearer"}
            await answer(401, "give one of the server's keys: Authorization: Bearer KEY", wanted)(scope, receive, send)
        elif int(length if (length := headers.get("content-length", "0")).isdecimal() else 0) > self._longest:
            await answer(413, self._too_long())(scope, receive, send)
        else:
            await self._app(scope, self._limited(receive), send)

    def _has_key(self, authorization: str) -> bool:
        kind, _, given = authorization.partition(" ")
        return not self._settings.keys or (kind.lower() == "bearer" and _is_one_of(given.strip(), self._settings.keys))

    def _limited(self, receive: Receive) -> Receive:
        end = asyncio.get_running_loop().time() + BODY_SECONDS
        received, complete = 0, False

        async def limited() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError as error:
                raise HTTPException(408, f"the request did not arrive within {BODY_SECONDS:.0f} seconds") from error
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > self._longest:
                raise HTTPException(413, self._too_long())
            return message

        return limited

    def _too_long(self) -> str:
        return f"the request is longer than the {self._longest:,} bytes that this server takes"


def is_local(host: str) -> bool:
    """Whether the header `Host` names this machine: localhost or an address of the loopback, with or without a port."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_one_of(given: str, keys: Iterable[str]) -> bool:
    """In a time that does not tell how much of a key was right."""
    found = [hmac.compare_digest(given.encode("latin-1", "replace"), key.encode()) for key in keys]
    return any(found)
