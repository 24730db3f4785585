"""`/v1/completions`: texts continued, whole or as they come."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from export.server import problems
from export.server.events import streamed, while_connected
from export.server.logprobs import Spelling
from export.server.problems import Problem
from export.server.runs import Piece
from export.server.texts import Prompt, Service, Work
from export.server.wire import Choice, Completion, CompletionRequest, LogProbs, Usage
from export.serving.scheduler import Task
from sharnn_py.session import check_ids
from sharnn_py.text import NEWLINE, Decoder


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI's interface"])

    @routes.post("/v1/completions", response_model=Completion, responses=problems.documented(404, 504))
    async def completions(asked: CompletionRequest, request: Request) -> Completion | Response:
        """Continue a text. With `echo` and `max_tokens` 0 it is only read, and `logprobs` say how likely it was."""
        if asked.model not in (None, service.name):
            raise Problem(404, f"there is no model {asked.model!r} here; this server has {service.name!r}")
        service.check(asked)
        prompts = prompts_of(service, asked)
        most = service.settings.queue + service.driver.engine.slots
        if len(prompts) * asked.n > most:
            raise Problem(400, f"{len(prompts)} prompts with n = {asked.n} are more than the {most} that can wait")
        answering = Answering(service, asked, prompts)
        if asked.stream:
            return await streamed(request, answering.events(), service.settings.max_seconds)
        return await while_connected(request, answering.whole())

    return routes


def prompts_of(service: Service, asked: CompletionRequest) -> list[Prompt]:
    """The ids of every prompt. Raises `Problem` for a prompt that is too long, and `InputError` for one that is not
    ids of this model."""
    given = asked.prompt
    several = isinstance(given, list) and not (given and isinstance(given[0], int))
    prompts: list[Any] = [*given] if several else [given]
    if not prompts:
        raise Problem(400, "prompt is an empty list; give at least one text")
    found = []
    for prompt in prompts:
        if not prompt:
            raise Problem(400, "the prompt is empty; it needs at least one token")
        if isinstance(prompt, str):
            found.append(service.ids(prompt, "prompt"))
            continue
        if len(prompt) > service.settings.max_prompt_bytes:
            raise Problem(
                413, f"the prompt has {len(prompt):,} ids; this server takes {service.settings.max_prompt_bytes:,}"
            )
        found.append(check_ids(np.asarray(prompt), len(service.vocabulary)))
    return found


class Answering:
    """One request: `n` choices for each prompt."""

    def __init__(self, service: Service, asked: CompletionRequest, prompts: Sequence[Prompt]) -> None:
        self._service, self._asked, self._prompts = service, asked, prompts
        self._id, self._created = f"cmpl-{secrets.token_hex(12)}", int(time.time())
        after = [NEWLINE if asked.echo else int(prompt[-1]) for prompt in prompts for _ in range(asked.n)]
        self._spelling = [Spelling(service.vocabulary, token) for token in after]
        self._echo = [Decoder(service.vocabulary) for _ in after]
        self._drawn = 0

    async def whole(self) -> Completion:
        """All choices, complete."""
        parts: list[list[Choice]] = [[] for _ in self._echo]
        async with aclosing(self._choices()) as choices:
            async for choice in choices:
                parts[choice.index].append(choice)
        return self._completion(list(map(_joined, parts)), self._usage())

    async def events(self) -> AsyncGenerator[Completion, None]:
        """The choices as they come, each event a piece of one."""
        async with aclosing(self._choices()) as choices:
            async for choice in choices:
                yield self._completion([choice])
        if self._asked.stream_options is not None and self._asked.stream_options.include_usage:
            yield self._completion([], self._usage())

    def _completion(self, choices: list[Choice], usage: Usage | None = None) -> Completion:
        return Completion(id=self._id, created=self._created, model=self._service.name, choices=choices, usage=usage)

    def _usage(self) -> Usage:
        prompt = sum(map(len, self._prompts))
        return Usage(prompt_tokens=prompt, completion_tokens=self._drawn, total_tokens=prompt + self._drawn)

    async def _choices(self) -> AsyncGenerator[Choice, None]:
        """Pieces of choices, each with something in it."""
        async with Work(self._service) as work, aclosing(self._pieces(work)) as pieces:
            async for index, piece in pieces:
                if piece.drawn:
                    self._drawn += len(piece.tokens)
                    text = piece.text
                else:
                    text = "".join(map(self._echo[index].feed, piece.tokens)) if self._asked.echo else ""
                told = piece.likely if piece.drawn or self._asked.echo else ()
                shown = self._spelling[index].logprobs(told) if told else None
                if text or shown or piece.ended:
                    yield Choice(text=text, index=index, logprobs=shown, finish_reason=piece.ended)

    async def _pieces(self, work: Work) -> AsyncGenerator[tuple[int, Piece], None]:
        """Pieces by the number of their choice. A prompt that several choices have is fed once, and then forked.

        A run's number is that of its choice, or, of a prompt that is fed, -1 and below.
        """
        n, service = self._asked.n, self._service
        service.driver.check_room(len(self._echo))
        fed: dict[int, int] = {}
        for number, prompt in enumerate(self._prompts):
            if n == 1:
                work.start(number, partial(self._generate, work.open, prompt, 0), self._asked.logprobs)
            else:
                work.start(-1 - number, partial(self._feed, work, number, prompt, fed), self._asked.logprobs)
        async with aclosing(work.pieces()) as pieces:
            async for piece in pieces:
                if piece.run >= 0:
                    yield piece.run, piece
                    continue
                number = -1 - piece.run
                for choice in range(n):
                    yield number * n + choice, replace(piece, ended=None)
                if piece.ended:
                    for choice in range(n):
                        fork = partial(work.fork, fed[number])
                        begin = partial(self._generate, fork, self._prompts[number][:0], choice)
                        work.start(number * n + choice, begin, self._asked.logprobs)

    def _feed(self, work: Work, number: int, prompt: Prompt, fed: dict[int, int]) -> Task:
        fed[number] = work.open()
        return self._service.feed(fed[number], prompt)

    def _generate(self, new: Callable[[], int], prompt: Prompt, choice: int) -> Task:
        return self._service.generate(new(), prompt, self._asked, (self._asked.seed or 0) + choice)


def _joined(parts: Sequence[Choice]) -> Choice:
    """A choice of all its pieces."""
    text, last = "".join(part.text for part in parts), parts[-1]
    logprobs = LogProbs.joined([part.logprobs for part in parts])
    return Choice(text=text, index=last.index, logprobs=logprobs, finish_reason=last.finish_reason)
