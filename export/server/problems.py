"""What went wrong with a request: a status and a sentence, in the form that clients of such servers know."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from export.errors import ExportError
from sharnn_py.errors import SharnnError

CLIENT_LEFT = 499
"""What nginx writes in its log then; nobody reads it here but the counters."""
TYPES = {401: "authentication_error", 404: "not_found_error", 409: "conflict_error", 429: "rate_limit_error"}


class Problem(Exception):
    """A request that is answered with a status of 400 or above."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


class Described(BaseModel):
    """What went wrong."""

    message: str
    type: str
    code: int


class ErrorBody(BaseModel):
    """The body of every answer with a status of 400 or above."""

    error: Described


def body(status: int, message: str) -> dict[str, object]:
    """The JSON of an error."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "code": status}}


def answer(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """The response of an error."""
    return JSONResponse(body(status, message), status, headers)


def of(error: Exception) -> Problem:
    """`error` as a problem: what a client can mend is 400, what the server lacks 500 or 503."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ExportError):
        return Problem(503, str(error))
    if isinstance(error, SharnnError):
        return Problem(400, str(error))
    return Problem(500, "the server failed; its log says how")


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The answers of a route, besides that of success, for its OpenAPI description."""
    every = sorted({400, 401, 408, 413, 421, 429, 500, 503, *statuses})
    return {status: {"model": ErrorBody, "description": HTTPStatus(status).phrase} for status in every}


def _said(error: RequestValidationError) -> str:
    """What is wrong with each field, once. What was given is not repeated: it may be long, or, as NaN, no JSON."""
    found: dict[str, str] = {}
    for item in error.errors():
        if item["type"] == "json_invalid":
            return f"the body is not JSON: {item.get('ctx', {}).get('error', item['msg'])}"
        if len(item["loc"]) == 1:
            return "the body has to be a JSON object, sent with Content-Type: application/json"
        found.setdefault(str(item["loc"][1]), item["msg"].removeprefix("Value error, "))
    return "; ".join(f"{field}: {said}" for field, said in found.items())


def install(app: FastAPI) -> None:
    """Let `app` answer with these, whatever goes wrong."""

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> Response:
        return answer(400, _said(error))

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> Response:
        return answer(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(Problem)
    async def _(request: Request, error: Problem) -> Response:
        return answer(error.status, error.message, error.headers)

    @app.exception_handler(SharnnError)
    async def _(request: Request, error: SharnnError) -> Response:
        problem = of(error)
        return answer(problem.status, problem.message)

    @app.exception_handler(ClientLeft)
    async def _(request: Request, error: ClientLeft) -> Response:
        return Response(status_code=CLIENT_LEFT)

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> Response:
        return answer(500, "the server failed; its log says how")
