"""Reading a text with carried state, and pooling what a model's hidden states are over each phrase.

A phrase's *pooled* vector is made of the rows that the attending blocks put into their memories while the phrase is
read: layer-normed hidden states, one a token, which PyTorch and onnxruntime both carry. They are averaged twice: over
the ends of words, where a word has been read and the next is not begun, and over all tokens weighted by surprisal,
-log p of the token, so that what the model did not expect counts for more, as rare words do in BM25. A model without
attention keeps no rows: there the vector is every block's h after the phrase. docs/yarn.md has what was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharnn_py.errors import InputError
from sharnn_py.session import SequenceSession
from sharnn_py.text import NEWLINE, encode, of_bytes, of_characters
from sharnn_py.vocabulary import Vocabulary
from sharnn_py.yarn.cutting import Phrase

SEGMENT = 1024
"""The most tokens of a segment; there are fewer where the memory has fewer rows."""
STRETCH = 1 << 16
"""Tokens between two places where reading can be taken up again."""
STRETCHES = 256
"""How many such places a text has at most."""

Pooled = NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """A part of a text that is read in one go and ends where a phrase does."""

    first: int
    """The number of its first phrase."""
    last: int
    """The number after its last phrase."""
    start: int
    """The first of its tokens."""
    end: int
    """The one after its last token."""


@dataclass(frozen=True)
class Tokens:
    """A text as a model reads it."""

    ids: NDArray[np.int64]
    """The ids, (tokens,)."""
    ends: NDArray[np.bool_]
    """Which tokens end a word, (tokens,)."""
    bounds: NDArray[np.int64]
    """The first token of every phrase, and the one after its last, (phrases, 2)."""

    @classmethod
    def of(cls, vocabulary: Vocabulary, data: bytes, phrases: Sequence[Phrase]) -> Tokens:
        """The tokens of a text. Raises `InputError` for what the vocabulary cannot encode, as `encode` does."""
        ids = encode(vocabulary, data)
        if of_bytes(vocabulary):
            bounds = [(phrase.start, phrase.end) for phrase in phrases]
            return cls(
                ids, _word_ends(_IN_WORD[np.frombuffer(data, np.uint8)]), np.array(bounds, np.int64).reshape(-1, 2)
            )
        bounds, at, seen = [], 0, 0
        for phrase in phrases:
            at += len(encode(vocabulary, data[seen : phrase.start]))
            inside = len(encode(vocabulary, data[phrase.start : phrase.end]))
            bounds.append((at, at + inside))
            at, seen = at + inside, phrase.end
        if of_characters(vocabulary):
            ends = _word_ends(np.array([character.isalnum() for character in data.decode()], np.bool_))
        else:
            ends = np.ones(len(ids), np.bool_)  # a token is a word
        return cls(ids, ends, np.array(bounds, np.int64).reshape(-1, 2))


_IN_WORD = np.array([byte >= 0x80 or chr(byte).isalnum() for byte in range(256)])
"""Whether a byte is a part of a word: ASCII's letters and digits, and all that is not ASCII."""


def _word_ends(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    ends: NDArray[np.bool_] = inside & ~np.append(inside[1:], False)
    return ends


def stretches(bounds: NDArray[np.int64]) -> list[Stretch]:
    """How a text is divided for reading: by the text alone, so that interruptions change nothing."""
    found: list[Stretch] = []
    if not len(bounds):
        return found
    least = max(STRETCH, int(bounds[-1, 1]) // STRETCHES)
    first, start = 0, 0
    for number, end in enumerate(bounds[:, 1].tolist(), start=1):
        if end - start >= least or number == len(bounds):
            found.append(Stretch(first, number, start, end))
            first, start = number, end
    return found


class Reader:
    """Reads one text with a session, from its beginning or from a state that was saved between two stretches."""

    def __init__(self, session: SequenceSession) -> None:
        """Read with `session`, whose state is the reader's from now on.

        Raises `InputError` for a model without a vocabulary.
        """
        if session.vocabulary is None:
            raise InputError("the model has no vocabulary.json; without it text cannot be turned into ids")
        self.session = session
        self.vocabulary = session.vocabulary
        config = session.config
        self._attending = [i for i in range(config.layers) if config.attends(i)]
        self.segment = min(SEGMENT, config.max_memory) if self._attending else SEGMENT
        kinds = 2 if self._attending else 1
        self.blocks = [config.emb] * (kinds * (len(self._attending) or config.layers))
        """The widths of the parts that a pooled vector is made of."""

    def begin(self) -> None:
        """Forget everything; a text begins after a line break, as it does for `score`."""
        self.session.reset(1)
        self.session.prefill(np.array([[NEWLINE]]))

    def query(self, text: str) -> Pooled:
        """The pooled vector (W,) of a text read from the beginning, as its own phrase. Raises `InputError`."""
        data = text.strip().encode()
        if not data:
            raise InputError("the words to look for are empty; give a word or more")
        tokens = Tokens.of(self.vocabulary, data, [Phrase(0, len(data), "")])
        self.begin()
        pooled: Pooled = self.read(tokens, Stretch(0, 1, 0, len(tokens.ids)))[0]
        return pooled

    def read(self, tokens: Tokens, stretch: Stretch) -> Pooled:
        """Go on reading with `stretch`; the pooled vectors of its phrases, (phrases, W)."""
        ids, within = tokens.ids, tokens.bounds[stretch.first : stretch.last]
        if not self._attending:
            return self._ends(ids, within[:, 1], stretch.start)
        sums = np.zeros((len(within), 2, sum(self.blocks) // 2))
        weights = np.zeros((len(within), 2))
        for start, end in _segments(stretch.start, stretch.end, self.segment):
            surprisal = self._feed(ids[start:end])  # (T,)
            arrays = self.session.arrays()
            rows = np.concatenate([arrays[i][2][start - end :, 0] for i in self._attending], axis=1)  # (T, W / 2)
            low = int(np.searchsorted(within[:, 1], start, side="right"))
            high = int(np.searchsorted(within[:, 0], end, side="left"))
            for number in range(low, high):
                here = slice(max(int(within[number, 0]), start) - start, min(int(within[number, 1]), end) - start)
                weighing = np.stack([tokens.ends[start:end][here], surprisal[here]])  # (2, tokens)
                sums[number] += weighing @ rows[here]
                weights[number] += weighing.sum(axis=1)
        pooled = sums / np.maximum(weights, np.finfo(np.float32).tiny)[:, :, None]
        return pooled.reshape(len(within), -1).astype(np.float32)

    def _ends(self, ids: NDArray[np.int64], ends: NDArray[np.int64], start: int) -> Pooled:
        """Every block's h after each of `ends`, (phrases, W)."""
        found = []
        for end in ends.tolist():
            for segment in _segments(start, end, self.segment):
                self.session.prefill(ids[slice(*segment), None])
            found.append(np.concatenate([h[0] for h, _, _ in self.session.arrays()]))
            start = end
        return np.array(found, np.float32)

    def _feed(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Feed a segment; -log p of each of its tokens before it was read, in nats, (T,)."""
        before = self.session.logits
        assert before is not None  # `begin` fed a token, and a state is saved with its logits
        logits = np.concatenate([before, self.session.prefill(ids[:, None])[:-1, 0]])  # (T, V)
        top = logits.max(axis=1)
        total = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
        surprisal: NDArray[np.float32] = total - logits[np.arange(len(ids)), ids]
        return surprisal


def _segments(start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, longest):
        yield at, min(at + longest, end)
