"""What a model is trained on: the ids of a text, its vocabulary, and the end of it that is held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sharnn_py.errors import InputError
from sharnn_py.text import encode
from sharnn_py.vocabulary import EOS, UNK, Vocabulary

Unit = Literal["bytes", "characters", "words"]
"""What a token is."""
HELD_OUT = 0.02
"""The share of a text's bytes, at its end, that is held out unless told otherwise."""


@dataclass(frozen=True)
class Corpus:
    """A text for training, encoded, and the texts that it is judged by."""

    vocabulary: Vocabulary
    """The tokens: all bytes or characters of the whole text, or the words seen at least twice in what is trained on."""
    train: Tensor
    """The ids of what is trained on, (tokens,), in the smallest type that holds them."""
    train_bytes: int
    """How many bytes of text these ids are."""
    held_out: bytes
    """The text that validation scores. Nothing is trained on it."""
    digest: str
    """The SHA-256 of training and held-out text, in hexadecimal."""
    test: bytes = b""
    """A text that is scored once, at the end; empty for none."""

    @property
    def bytes_per_token(self) -> float:
        """How many bytes of the training text a token stands for, in the mean."""
        return self.train_bytes / len(self.train)


def read_corpus(path: str | Path, unit: Unit = "bytes", held_out: float = HELD_OUT) -> Corpus:
    """The corpus of the file at `path`, of which the last `held_out`, a share of its bytes, is held out.

    Characters and words are those of UTF-8, and the cut between the two parts is moved back to the beginning of a
    character, or to the end of a line or word. Raises `InputError` for a text too short to hold anything out, and for
    one that is not UTF-8 where that is needed; `OSError` if the file cannot be read.
    """
    data = Path(path).read_bytes()
    _check_unit(data, unit, path)
    cut = _cut(data, len(data) - int(held_out * len(data)), unit, path)
    return split_corpus(data[:cut], data[cut:], unit, path)


def split_corpus(train: bytes, held_out: bytes, unit: Unit, path: str | Path, test: bytes = b"") -> Corpus:
    """The corpus of texts that are split already. `path` is named in errors, which are those of `read_corpus`."""
    if not train or not held_out:
        raise InputError(
            f"{path} has {len(train) + len(held_out):,} bytes, of which {len(held_out):,} would be held out and "
            f"{len(train):,} trained on; both parts need some: give a longer text"
        )
    vocabulary = _vocabulary(train, held_out + test, unit, path)
    ids = encode(vocabulary, train)
    digest = hashlib.sha256(train)
    digest.update(held_out)
    kind = np.uint8 if len(vocabulary) <= 256 else np.int32
    return Corpus(vocabulary, torch.from_numpy(ids.astype(kind)), len(train), held_out, digest.hexdigest(), test)


def _cut(data: bytes, cut: int, unit: Unit, path: str | Path) -> int:
    if unit == "words":
        ends = data.rfind(b"\n", 0, cut), data.rfind(b" ", 0, cut)
        return next((end + 1 for end in ends if end >= 0), 0)
    while unit == "characters" and 0 < cut < len(data) and data[cut] & 0xC0 == 0x80:  # within a character
        cut -= 1
    return cut


def _check_unit(data: bytes, unit: Unit, path: str | Path) -> None:
    if unit == "bytes":
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8, so it has no {unit}; train on its bytes: --tokens bytes") from error


def _vocabulary(train: bytes, rest: bytes, unit: Unit, path: str | Path) -> Vocabulary:
    if unit == "bytes":
        # What occurs only in the text that is held out is listed too: it could not be scored otherwise.
        counts = np.bincount(np.frombuffer(train + rest, np.uint8), minlength=256)
        counts[ord("\n")] = 0  # `<s>`
        listed = [str(byte) for byte in np.argsort(-counts, kind="stable") if counts[byte]]
        return Vocabulary([EOS, UNK, *listed])
    for part in (train, rest):
        _check_unit(part, unit, path)
    text, others = train.decode(), rest.decode()
    if unit == "words":
        return Vocabulary.from_lines(text.split("\n"), min_count=2)
    return Vocabulary.of_characters(Counter(text + others))
