"""From raw text to the ids of a vocabulary, and from a stream of ids back to text.

A *byte vocabulary*, enwik8's, names bytes by their decimal numbers (`sharnn_py.vocabulary.bytes_to_text`): there an id
is a byte of the text in UTF-8. A *character vocabulary* names single characters, the space among them
(`Vocabulary.of_characters`). Any other vocabulary is one of words, split on white space, where no token is a space. In
all of them a line break is `<s>`.
"""

import codecs
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sharnn_py.errors import InputError
from sharnn_py.vocabulary import Vocabulary

NEWLINE = 0
"""The id of `<s>`, a line break."""
_UNKNOWN = 1


def of_bytes(vocabulary: Vocabulary) -> bool:
    """Whether every token but `<s>` and `<unk>` is the decimal number of a byte."""
    numbers = {str(byte) for byte in range(256)}
    return len(vocabulary) > 2 and all(token in numbers for token in vocabulary.tokens[2:])


def of_characters(vocabulary: Vocabulary) -> bool:
    """Whether every token but `<s>` and `<unk>` is a single character, and the space is one of them."""
    return " " in vocabulary.tokens[2:] and all(len(token) == 1 for token in vocabulary.tokens[2:])


def encode(vocabulary: Vocabulary, text: str | bytes) -> NDArray[np.int64]:
    """The ids of `text`, int64 (tokens,), without an end-of-sentence id after the last line.

    A word or character that is not in the vocabulary is `<unk>`. Raises `InputError` for a byte that is not in a byte
    vocabulary, and for bytes that are not UTF-8 where the vocabulary is one of words or characters.
    """
    if of_bytes(vocabulary):
        return _encode_bytes(vocabulary, text.encode() if isinstance(text, str) else text)
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            unit = "characters" if of_characters(vocabulary) else "words"
            raise InputError(f"the text is not UTF-8 at byte {error.start}; this vocabulary is of {unit}") from error
    if of_characters(vocabulary):
        return np.array([vocabulary.encode_character(character) for character in text], np.int64)
    lines = (vocabulary.encode_line(line) for line in text.split("\n"))
    return np.array(list(chain.from_iterable(lines))[:-1], np.int64)  # the last line has no line break after it


def _encode_bytes(vocabulary: Vocabulary, data: bytes) -> NDArray[np.int64]:
    ids = np.full(256, -1, np.int64)
    for i, token in enumerate(vocabulary.tokens[2:], start=2):
        ids[int(token)] = i
    ids[ord("\n")] = NEWLINE
    encoded = ids[np.frombuffer(data, np.uint8)]
    unknown = np.flatnonzero(encoded < 0)
    if len(unknown):
        at = int(unknown[0])
        raise InputError(
            f"byte {data[at]} ({bytes([data[at]])!r}) at offset {at} of the text is not in the vocabulary, which has "
            f"{len(vocabulary) - 2} bytes; the model has never seen it: remove it, or replace it"
        )
    return encoded


class Decoder:
    """Turns a stream of ids into text, one id at a time: `feed` returns what is complete, and `finish` the rest.

    The pieces, joined, are the text of all ids, wherever the stream is cut.
    """

    def __init__(self, vocabulary: Vocabulary, after: int = NEWLINE, unfinished: bytes = b"") -> None:
        """Decode what follows the id `after`: after a word, the next word needs a space.

        `unfinished` are bytes of a character that the ids before end within.
        """
        self._tokens = vocabulary.tokens
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace") if of_bytes(vocabulary) else None
        self._apart = not of_characters(vocabulary)
        self._in_line = after != NEWLINE
        if self._utf8 is not None:
            self._utf8.decode(unfinished)

    def feed(self, token: int) -> str:
        """The text that is complete once `token` is known, possibly none; in a byte vocabulary `<unk>` is U+FFFD."""
        if self._utf8 is not None:
            if token == _UNKNOWN:
                return self._utf8.decode(b"", final=True) + "\N{REPLACEMENT CHARACTER}"
            return self._utf8.decode(b"\n" if token == NEWLINE else bytes([int(self._tokens[token])]))
        space = " " if self._apart and self._in_line and token != NEWLINE else ""
        self._in_line = token != NEWLINE
        return "\n" if token == NEWLINE else space + self._tokens[token]

    @property
    def unfinished(self) -> bytes:
        """The bytes of a character that the ids so far end within; no text yet."""
        return self._utf8.getstate()[0] if self._utf8 is not None else b""

    def finish(self) -> str:
        """The rest of the text: U+FFFD for a character whose last bytes are missing."""
        return self._utf8.decode(b"", final=True) if self._utf8 is not None else ""
