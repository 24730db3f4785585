"""Sequences with carried state on any back end: feeding them, scoring and generating text. No torch is loaded here."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharnn_py.config import Config
from sharnn_py.errors import ConfigError, InputError
from sharnn_py.sampling import Sampling
from sharnn_py.text import Decoder, encode
from sharnn_py.vocabulary import Vocabulary

SEGMENT = 1024
"""Steps per segment when scoring and feeding prompts, as in both programs' evaluation of enwik8."""

Tokens = NDArray[np.integer[Any]]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """How likely a text is to a model."""

    nats: float
    """Negative log likelihood of all tokens together, in nats."""
    tokens: int
    """How many tokens the text has."""
    bytes: int
    """How many bytes the text has."""

    @property
    def bits_per_byte(self) -> float:
        """Negative log likelihood per byte of the text, in bits."""
        return self.nats / math.log(2) / self.bytes

    @property
    def bits_per_token(self) -> float:
        """Negative log likelihood per token, in bits."""
        return self.nats / math.log(2) / self.tokens

    @property
    def perplexity(self) -> float:
        """The perplexity of a token, exp(nats / tokens)."""
        return math.exp(self.nats / self.tokens)


class SequenceSession(ABC):
    """B sequences of one model, fed token by token or segment by segment with carried state, on some back end.

    The back ends are `sharnn_py.TorchSession` and `export.Session`. Under julia's semantics attention is scaled by
    1 / sqrt(T), so the same tokens fed in segments of another length, or one by one, give other logits.
    """

    def __init__(self, config: Config, vocabulary: Vocabulary | None) -> None:
        self.config = config
        self.vocabulary = vocabulary

    @property
    @abstractmethod
    def batch(self) -> int:
        """Number of sequences, B."""

    @abstractmethod
    def prefill(self, tokens: Tokens) -> Logits:
        """Feed one segment of ids (T, B); float32 logits (T, B, V) of the next token after each.

        Raises `InputError` for tokens that are not ids of this model or not for B sequences.
        """

    @abstractmethod
    def step(self, tokens: Tokens) -> Logits:
        """Feed one id to each sequence, (B,), as a segment of one step; float32 logits (B, V) of the next token.

        Raises `InputError` for tokens that are not ids of this model or not for B sequences.
        """

    @abstractmethod
    def reset(self, batch: int = 1) -> None:
        """Forget everything and begin `batch` new sequences. Raises `ConfigError` for a batch below 1."""

    @abstractmethod
    def fork(self) -> SequenceSession:
        """A session that continues independently from the same state. Weights are shared."""

    @abstractmethod
    def save_state(self, path: str | Path) -> None:
        """Write the state to a safetensors file (`sharnn_py.state_file`), in float32 or float64. Raises `OSError`."""

    @abstractmethod
    def load_state(self, path: str | Path) -> None:
        """Continue from a state that any back end has saved; B becomes the number of its sequences.

        Raises `CheckpointError` for a file that is not a saved state, `InputError` for a state of another model; the
        session is then as it was.
        """

    def score(self, text: str | bytes, segment: int = SEGMENT) -> Score:
        """How likely `text` is after a line break, computed in segments of `segment` steps with carried state.

        Segments of one step are computed by `step`. The session's own state is neither used nor changed. Raises
        `InputError` for a text that is empty or cannot be encoded, `ConfigError` for a segment below 1.
        """
        segment = at_least(1, "segment", segment)
        data = text.encode() if isinstance(text, str) else text
        targets = self._encode(data, "text")
        inputs = np.concatenate([[0], targets[:-1]])  # the text begins after `<s>`
        session = self.fork()
        session.reset(1)
        nats = 0.0
        for start in range(0, len(inputs), segment):
            ids = inputs[start : start + segment]
            logits = session.step(ids) if segment == 1 else session.prefill(ids[:, None])[:, 0]  # (T, V)
            nats += _nats(logits, targets[start : start + segment])
        return Score(nats, len(targets), len(data))

    def generate(
        self,
        prompt: str | bytes,
        n: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        segment: int = SEGMENT,
    ) -> Iterator[str]:
        """Feed `prompt`, then draw and feed `n` tokens one by one; return an iterator over their text, in pieces.

        Continues from the session's state, which must be of one sequence. The prompt is fed, in segments of at most
        `segment` steps, when the first piece is asked for; after any piece the state includes the prompt and every
        token whose text was yielded. `temperature`, `top_k` and `top_p` are those of
        `sharnn_py.sampling.Sampling`; an equal `seed` draws equal tokens. `InputError` or `ConfigError` is raised by
        the call itself, not by the first piece.
        """
        sampling, generator = Sampling(temperature, top_k, top_p), np.random.default_rng(at_least(0, "seed", seed))
        count, segment = at_least(0, "n", n), at_least(1, "segment", segment)
        if self.batch != 1:
            raise InputError(f"text is generated for one sequence; this session carries {self.batch}; call reset()")
        ids = self._encode(prompt, "prompt")
        assert self.vocabulary is not None
        decoder = Decoder(self.vocabulary, after=int(ids[-1]))

        def pieces() -> Iterator[str]:
            for start in range(0, len(ids), segment):
                logits = self.prefill(ids[start : start + segment, None])[-1]  # (1, V)
            for _ in range(count):
                token = sampling.draw(logits[0], generator)
                logits = self.step(np.array([token]))
                yield decoder.feed(token)
            yield decoder.finish()

        return (piece for piece in pieces() if piece)

    def check_tokens(self, tokens: Tokens, axes: int) -> NDArray[np.int64]:
        """`tokens` as int64. Raises `InputError` unless they are ids of this model, (B,) for 1 axis, (T, B) for 2."""
        tokens, shape = np.asarray(tokens), ("(B,)", "(T, B)")[axes - 1]
        if not np.issubdtype(tokens.dtype, np.integer):
            raise InputError(f"tokens are {tokens.dtype}; they must be whole numbers")
        if tokens.ndim != axes or not tokens.size:
            raise InputError(f"tokens have shape {tokens.shape}; they must be {shape}, T and B at least 1")
        if tokens.shape[-1] != self.batch:
            raise InputError(
                f"tokens are for {tokens.shape[-1]} sequences; this session carries {self.batch}; "
                f"reset(batch={tokens.shape[-1]}) begins that many"
            )
        low, high, vocab = int(tokens.min()), int(tokens.max()), self.config.vocab
        if low < 0 or high >= vocab:
            raise InputError(
                f"token ids run from {low} to {high}; with a vocabulary of {vocab} they must be 0 to {vocab - 1}"
            )
        return tokens.astype(np.int64)

    def _encode(self, text: str | bytes, what: str) -> NDArray[np.int64]:
        if self.vocabulary is None:
            raise InputError("the model has no vocabulary.json; without it text cannot be turned into ids")
        ids = encode(self.vocabulary, text)
        if not len(ids):
            raise InputError(f"the {what} is empty; it needs at least one token")
        return ids


Session = SequenceSession
"""The former name of `SequenceSession`."""


def _nats(logits: Logits, targets: NDArray[np.int64]) -> float:
    """-log p of `targets` (T,) under `logits` (T, V), in nats, summed over T in float64."""
    scores = logits.astype(np.float64)
    top = scores.max(axis=-1)
    total = top + np.log(np.exp(scores - top[:, None]).sum(axis=-1))
    return float((total - scores[np.arange(len(targets)), targets]).sum())


def at_least(least: int, name: str, value: int) -> int:
    """`value`, if it is at least `least`. Raises `ConfigError`, calling it `name`, if not."""
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be at least {least}")
    return value
