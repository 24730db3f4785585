"""What a sequence of the server's has to say next: a session alone that is fed and draws the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export import Session
from sharnn_py.sampling import Draws, Sampling
from sharnn_py.text import encode

ROUNDING = 2e-5
"""How near a draw may be to another token's for rounding to decide: the engine's tests allow as much between logits of
about 5 that a step of one sequence gives, and those of a step of several."""
CLOSE = 2e-4
"""Between log probabilities: ten times that, since rounding in h, c and memory goes on with the sequence."""


@dataclass(frozen=True)
class Text:
    """What was drawn."""

    text: str
    logprobs: list[float]
    """In nats, one for each token."""

    def begins_with(self, other: Text) -> bool:
        """Whether `other` is this or its beginning, but for rounding."""
        own = self.logprobs[: len(other.logprobs)]
        return (
            self.text.startswith(other.text)
            and len(own) == len(other.logprobs)
            and np.allclose(own, other.logprobs, rtol=0, atol=CLOSE)
        )

    def is_as(self, other: Text) -> bool:
        """Whether `other` is the same, but for rounding."""
        return self.text == other.text and len(self.logprobs) == len(other.logprobs) and self.begins_with(other)


class Twin:
    """One sequence, as it has to be."""

    def __init__(self, session: Session, fed: int = 0) -> None:
        """`session` is its own from now on; `fed` is how many tokens the server says that it was fed."""
        self.session, self.fed = session, fed
        self.drew = False
        """Whether the last token was drawn, so that it can be gone on with without a seed."""
        self.narrow = False
        """Whether one of the tokens drawn last was so near to another that rounding may have decided it."""
        self._seed, self._drawn = 0, 0

    @classmethod
    def fresh(cls, session: Session) -> Twin:
        """A sequence to which nothing was fed."""
        own = session.fork()
        own.reset()
        return cls(own)

    def fork(self, fed: int | None = None) -> Twin:
        """One that goes on from the same place."""
        other = Twin(self.session.fork(), self.fed if fed is None else fed)
        other.drew, other._seed, other._drawn = self.drew, self._seed, self._drawn
        return other

    def read(self, text: str) -> None:
        """Read on."""
        assert self.session.vocabulary is not None
        ids = encode(self.session.vocabulary, text)
        if len(ids):
            self.session.prefill(ids[:, None])
            self.fed += len(ids)
            self.drew = False

    def draw(self, n: int, seed: int | None) -> Text:
        """Go on by `n` tokens."""
        if seed is not None and (seed != self._seed or not self.drew):  # with its own it goes on as without one
            self._seed, self._drawn = seed, 0
        pieces, logprobs, self.narrow = [], [], False
        for _ in range(n):
            assert self.session.logits is not None
            logits = self.session.logits[0].astype(np.float64)
            self.narrow = self.narrow or margin(logits, Draws(self._seed, self._drawn).random()) < ROUNDING
            token = Sampling().draw(self.session.logits[0], Draws(self._seed, self._drawn))
            logprobs.append(float(logits[token] - logits.max() - np.log(np.exp(logits - logits.max()).sum())))
            pieces += self.session.generate("", 1, seed=seed)
            seed, self._drawn = None, self._drawn + 1
        self.fed += n
        self.drew = self.drew or n > 0
        return Text("".join(pieces), logprobs)


def margin(logits: np.ndarray, number: float) -> float:
    """How far a draw is from another token's: by its number in [0, 1), or by a logit that would change places."""
    scores = np.sort(logits)[::-1]
    total = np.cumsum(np.exp(scores - scores[0]))
    drawn = min(int(np.searchsorted(total, number * total[-1], side="right")), len(total) - 1)
    ends = np.abs(total / total[-1] - number).min()
    beside = np.abs(np.diff(scores[max(drawn - 1, 0) : drawn + 2])).min()
    return float(min(ends, beside))
