"""One text that is fed or generated, as the request that asked for it sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.serving.scheduler import Progress, Task
from sharnn_py.session import nats_of

Ended = Literal["length", "stop"]


@dataclass(frozen=True)
class Likely:
    """How likely a token was, and which were most likely in its place."""

    token: int
    logprob: float | None
    """In nats; None for the first token of a sequence, which nothing came before."""
    top: tuple[tuple[int, float], ...]
    """The most likely tokens and their log probabilities, the most likely first."""


@dataclass(frozen=True)
class Piece:
    """A part of a text."""

    run: int
    """Which of the request's runs it belongs to."""
    tokens: tuple[int, ...]
    drawn: bool
    """Whether its tokens were drawn, rather than of the prompt."""
    text: str
    """What can be read of what was drawn."""
    nats: float
    """Negative log likelihood of the tokens, where it was asked for."""
    likely: tuple[Likely, ...]
    """One for each token, where they were asked for."""
    ended: Ended | None
    error: Exception | None
    """What ended it, if something did."""


def ended_by(error: Exception, run: int = 0) -> Piece:
    """The end of a run by an error."""
    return Piece(run, (), False, "", 0.0, (), None, error)


class Run:
    """A task to be begun when there is a slot, and where its pieces go."""

    def __init__(
        self,
        number: int,
        begin: Callable[[], Task],
        pieces: asyncio.Queue[Piece],
        *,
        top: int | None = None,
        measured: bool = False,
    ) -> None:
        """`begin` is called on the engine's thread. `top` asks for log probabilities and that many alternatives,
        `measured` for the text's likelihood."""
        self.number, self.begin = number, begin
        self.task: Task | None = None
        self.drawn = 0
        """How many tokens were drawn."""
        self._pieces, self._loop = pieces, asyncio.get_running_loop()
        self._top, self._measured = top, measured

    def tell(self, progress: Progress) -> None:
        """Pass on what a step of the engine brought. Logits stay here: a reader may be slow, and they are large."""
        tokens, predictions = progress.tokens, progress.predictions
        self.drawn += len(tokens) if progress.drawn else 0
        likely = () if self._top is None else tuple(map(self._likely, tokens, predictions))
        known = ~np.isnan(predictions[:, 0])
        nats = nats_of(predictions[known], tokens[known]) if self._measured and known.any() else 0.0
        ids = tuple(tokens.tolist())
        self._put(Piece(self.number, ids, progress.drawn, progress.text, nats, likely, progress.ended, progress.error))

    def fail(self, error: Exception) -> None:
        """End with an error."""
        self._put(ended_by(error, self.number))

    def _put(self, piece: Piece) -> None:
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
        except RuntimeError:  # the server has ended, and its loop with it
            return

    def _likely(self, token: np.int64, logits: NDArray[np.float32]) -> Likely:
        if np.isnan(logits[0]):
            return Likely(int(token), None, ())
        scores = logits.astype(np.float64)
        scores -= scores.max()
        scores -= np.log(np.exp(scores).sum())
        best = np.argsort(-scores, kind="stable")[: self._top]
        return Likely(int(token), float(scores[token]), tuple((int(i), float(scores[i])) for i in best))
