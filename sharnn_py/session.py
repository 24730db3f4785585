"""Sequences with carried state on any back end: feeding them, scoring and generating text. No torch is loaded here."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sharnn_py.batched_text import counts_of, generate_batch, matrix_of
from sharnn_py.config import Config
from sharnn_py.continuation import Continuation
from sharnn_py.errors import ConfigError, InputError
from sharnn_py.generated_text import GeneratedText
from sharnn_py.sampling import Sampling
from sharnn_py.state_file import StateFile
from sharnn_py.stop import Stop
from sharnn_py.text import encode
from sharnn_py.vocabulary import Vocabulary

SEGMENT = 1024
"""Steps per segment when scoring and feeding prompts, as in both programs' evaluation of enwik8."""

Tokens = NDArray[np.integer[Any]]
Logits = NDArray[np.float32]
Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""A block's h (B, H), c (B, H) and memory (M, B, H)."""
S = TypeVar("S", bound="SequenceSession")


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
    1 / sqrt(T), so the same tokens fed in segments of another length, or one by one, give other logits; under paper's
    they do once the memory and the segment together, M + T, exceed max_memory.

    Threads may share a session: each call waits for the one before it, so that all tokens are fed, in some order.
    Forks do not wait for one another.
    """

    def __init__(self, config: Config, vocabulary: Vocabulary | None) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self._lock = threading.RLock()
        self._continuation: Continuation | None = None

    @property
    @abstractmethod
    def batch(self) -> int:
        """Number of sequences, B."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """The identity of the model (`sharnn_py.identity`)."""

    @abstractmethod
    def _feed_segment(self, tokens: NDArray[np.int64]) -> Logits:
        """What `prefill` does, for tokens that were checked."""

    @abstractmethod
    def _feed_step(self, tokens: NDArray[np.int64]) -> Logits:
        """What `step` does, for tokens that were checked."""

    @abstractmethod
    def _begin(self, batch: int) -> None:
        """What `reset` does, for a batch that was checked."""

    @abstractmethod
    def _copy(self: S) -> S:
        """What `fork` does; the copy's lock and continuation are not its own yet."""

    @abstractmethod
    def _write(self, path: str | Path, vocabulary: str | None) -> None:
        """What `save_state` does, given the identity of the vocabulary."""

    @abstractmethod
    def _read(self, path: str | Path) -> StateFile:
        """The saved state at `path`, in the arrays of this back end."""

    @abstractmethod
    def _arrays(self) -> list[Arrays]:
        """What `arrays` does."""

    @abstractmethod
    def _continue_from(self, layers: Sequence[tuple[Any, Any, Any]], slot: int | None) -> None:
        """Take over a state that was read; raise `InputError`, with nothing changed, if it is not one of this model."""

    def prefill(self, tokens: Tokens) -> Logits:
        """Feed one segment of ids (T, B); float32 logits (T, B, V) of the next token after each.

        Raises `InputError` for tokens that are not ids of this model or not for B sequences.
        """
        with self._lock:
            checked = self.check_tokens(tokens, 2)
            logits = self._feed_segment(checked)
            self._continuation = Continuation(logits[-1].copy(), checked[-1].copy())
        return logits

    def step(self, tokens: Tokens) -> Logits:
        """Feed one id to each sequence, (B,), as a segment of one step; float32 logits (B, V) of the next token.

        Raises `InputError` for tokens that are not ids of this model or not for B sequences, and
        `export.ExportError`, with nothing fed, where an export was given a ring (`--capacity`) too small for the memory
        that this step needs.
        """
        with self._lock:
            checked = self.check_tokens(tokens, 1)
            logits = self._feed_step(checked)
            self._continuation = Continuation(logits.copy(), checked)
        return logits

    def reset(self, batch: int = 1) -> None:
        """Forget everything and begin `batch` new sequences. Raises `ConfigError` for a batch below 1."""
        with self._lock:
            self._begin(at_least(1, "batch", batch))
            self._continuation = None

    def fork(self: S) -> S:
        """A session that continues independently from the same state. Weights are shared."""
        with self._lock:
            other = self._copy()
            other._lock = threading.RLock()
            other._continuation = self._continuation
        return other

    def save_state(self, path: str | Path) -> None:
        """Write the state to a safetensors file (`sharnn_py.state_file`), in float32 or float64. Raises `OSError`.

        With it go the identities of model and vocabulary, and all that `generate` needs to go on from there with an
        empty prompt as if it had never stopped.
        """
        with self._lock:
            self._write(path, None if self.vocabulary is None else self.vocabulary.identity)

    def load_state(self, path: str | Path, *, unidentified: bool = False) -> None:
        """Continue from a state that any back end has saved; B becomes the number of its sequences.

        With `unidentified` a file is taken too that does not say of which model it is, such as those that `State.save`
        writes, and earlier versions wrote.

        Raises `CheckpointError` for a file that is not a saved state, `InputError` for a state of another model or
        vocabulary, and for one that holds NaN or infinity; the session is then as it was.
        """
        with self._lock:
            saved = self._read(path)
            ids = None if self.vocabulary is None else self.vocabulary.identity
            saved.check(path, self.identity, ids, self.config.vocab, unidentified)
            continuation = saved.continuation
            self._continue_from(saved.layers, continuation.slot if continuation else None)
            self._continuation = continuation

    def arrays(self) -> list[Arrays]:
        """Every block's h (B, H), c (B, H) and memory (M, B, H) now, as NumPy arrays on the host.

        Memories have their oldest rows first and none in a block that does not attend. The numbers are float32 or
        float64, or float16 where an export computes in it.
        """
        with self._lock:
            return self._arrays()

    @property
    def logits(self) -> Logits | None:
        """Float32 logits (B, V) of what follows the token that was fed last; None where nothing was fed."""
        continuation = self._continuation
        return continuation.logits if continuation else None

    @property
    def unfinished(self) -> bytes:
        """The bytes of a character that the generated text ends within. They are in no text yet; b"" mostly."""
        continuation = self._continuation
        return continuation.unfinished if continuation else b""

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
            nats += nats_of(logits, targets[start : start + segment])
        return Score(nats, len(targets), len(data))

    def generate(
        self,
        prompt: str | bytes,
        n: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        segment: int = SEGMENT,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Feed `prompt`, then draw and feed `n` tokens one by one; return an iterator over their text, in pieces.

        Continues from the session's state, which must be of one sequence. The prompt is fed, in segments of at most
        `segment` steps, when the first piece is asked for; after any piece the state includes the prompt and every
        token whose text was yielded. `temperature`, `top_k` and `top_p` are those of `sharnn_py.sampling.Sampling`; an
        equal `seed` draws equal tokens, and is 0 unless given.

        With an empty prompt the text goes on after the last token that the session, or the one that saved its state,
        was fed. If `generate` drew that token, the text goes on as it would have without the stop: with the next random
        numbers of the same seed, unless another one is given, and within the same character. A character that is not
        complete after `n` tokens is held back for that (`unfinished`).

        The text ends before the first of the texts `stop`, if that comes before `n` tokens; the state includes it.

        `InputError` or `ConfigError` is raised by the call itself, not by the first piece.
        """
        Stop(stop)
        sampling, count = Sampling(temperature, top_k, top_p), at_least(0, "n", n)
        begin = None if seed is None else at_least(0, "seed", seed)
        segment = at_least(1, "segment", segment)
        if self.batch != 1:
            raise InputError(f"text is generated for one sequence; this session carries {self.batch}; call reset()")
        ids = self._encode(prompt, "prompt", or_else=self._continuation is not None)
        vocabulary = self.vocabulary
        assert vocabulary is not None

        def pieces() -> Iterator[str]:
            with self._lock:
                for start in range(0, len(ids), segment):
                    self.prefill(ids[start : start + segment, None])
                text = GeneratedText.after(vocabulary, self._left(), len(ids) > 0, count, begin, stop)
            while not text.ended:
                with self._lock:
                    token, piece = text.draw(self._left().logits[0], sampling)
                    self.step(np.array([token]))
                    self._continuation = replace(
                        self._left(), unfinished=text.decoder.unfinished, seed=text.draws.seed, drawn=text.draws.drawn
                    )
                if piece:
                    yield piece

        return pieces()

    def generate_batch(
        self,
        prompts: Sequence[str | bytes],
        n: int | Sequence[int],
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seeds: Sequence[int] | None = None,
        segment: int = SEGMENT,
        stop: Sequence[str] = (),
    ) -> Iterator[tuple[int, str]]:
        """Feed a prompt to each sequence, then generate text for all of them at once.

        Returns an iterator over (number of the sequence, piece of its text). Continues from the session's state, which
        must be of as many sequences as there are prompts (`reset(batch=len(prompts))`); for several samples of one
        prompt, give it as often. Each sequence has its own seed, of `seeds` or else its number, and ends on its own:
        after `n` tokens, which may be a number for each, or before the first of the texts `stop`. Its text is the one
        that `generate` gives for that prompt and seed, but for the rounding of larger products.

        The sequences move in lock-step, one token each at a time. So all prompts must have equally many tokens, and a
        sequence that has ended is fed line breaks until the others have: go on only from those that ended last.

        `InputError` or `ConfigError` is raised by the call itself, not by the first piece.
        """
        sampling, segment = Sampling(temperature, top_k, top_p), at_least(1, "segment", segment)
        if isinstance(prompts, (str, bytes)) or not len(prompts):
            raise InputError(f"prompts is {prompts!r}; it must be a list of texts, one for each sequence")
        if len(prompts) != self.batch:
            raise InputError(
                f"there are {len(prompts)} prompts and this session carries {self.batch} sequences; "
                f"reset(batch={len(prompts)}) begins that many"
            )
        counts, seeds = counts_of(n, seeds, len(prompts))
        Stop(stop)
        ids = matrix_of([self._encode(prompt, "prompt") for prompt in prompts])
        assert self.vocabulary is not None
        return generate_batch(self.prefill, self.step, ids, self.vocabulary, sampling, counts, seeds, stop, segment)

    def _left(self) -> Continuation:
        if self._continuation is None:
            raise InputError("the session was reset while it generated text; call generate again")
        return self._continuation

    def check_tokens(self, tokens: Tokens, axes: int) -> NDArray[np.int64]:
        """`tokens` as int64. Raises `InputError` unless they are ids of this model, (B,) for 1 axis, (T, B) for 2."""
        tokens, shape = np.asarray(tokens), ("(B,)", "(T, B)")[axes - 1]
        if tokens.ndim != axes or not tokens.size:
            raise InputError(f"tokens have shape {tokens.shape}; they must be {shape}, T and B at least 1")
        if tokens.shape[-1] != self.batch:
            raise InputError(
                f"tokens are for {tokens.shape[-1]} sequences; this session carries {self.batch}; "
                f"reset(batch={tokens.shape[-1]}) begins that many"
            )
        return check_ids(tokens, self.config.vocab)

    def _encode(self, text: str | bytes, what: str, or_else: bool = False) -> NDArray[np.int64]:
        return ids_of(self.vocabulary, text, what, or_else)


Session = SequenceSession
"""The former name of `SequenceSession`."""


def nats_of(logits: Logits, targets: NDArray[np.int64]) -> float:
    """-log p of `targets` (T,) under `logits` (T, V), in nats, summed over T in float64."""
    scores = logits.astype(np.float64)
    top = scores.max(axis=-1)
    total = top + np.log(np.exp(scores - top[:, None]).sum(axis=-1))
    return float((total - scores[np.arange(len(targets)), targets]).sum())


def ids_of(vocabulary: Vocabulary | None, text: str | bytes, what: str, or_else: bool = False) -> NDArray[np.int64]:
    """The ids of `text`, at least one `or_else` none. Raises `InputError`, calling it `what`, if it has none."""
    if vocabulary is None:
        raise InputError("the model has no vocabulary.json; without it text cannot be turned into ids")
    ids = encode(vocabulary, text)
    if not len(ids) and not or_else:
        raise InputError(f"the {what} is empty; it needs at least one token")
    return ids


def check_ids(tokens: Tokens, vocab: int) -> NDArray[np.int64]:
    """`tokens`, of which there are some, as int64. Raises `InputError` unless all are ids of `vocab` tokens."""
    if not np.issubdtype(tokens.dtype, np.integer):
        raise InputError(f"tokens are {tokens.dtype}; they must be whole numbers")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= vocab:
        raise InputError(
            f"token ids run from {low} to {high}; with a vocabulary of {vocab} they must be 0 to {vocab - 1}"
        )
    return tokens.astype(np.int64)


def at_least(least: int, name: str, value: int) -> int:
    """`value`, if it is at least `least`. Raises `ConfigError`, calling it `name`, if not."""
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be at least {least}")
    return value
