"""From text to token ids and back, as SHA-RNN.jl's `src/data.jl` reads text, with ids from 0.

A line of text is its tokens, split on white space, followed by an end-of-sentence token. enwik8 is prepared with each
byte as a decimal number (`bytes_to_text`), so its tokens are bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from sharnn_py.errors import CheckpointError, ConfigError, InputError
from sharnn_py.files import write_text

EOS, UNK = "<s>", "<unk>"


class Vocabulary:
    """A text's tokens in the order of their ids: `<s>` is 0, `<unk>` is 1. Ids in SHA-RNN.jl are one higher.

    Among equally frequent tokens SHA-RNN.jl's order is that of a Dict, which is arbitrary, so the vocabulary is saved
    with the weights. Raises `ConfigError` unless the tokens begin with these two and are all different.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if list(tokens[:2]) != [EOS, UNK]:
            raise ConfigError(f"a vocabulary begins with {EOS!r} and {UNK!r}, this one with {list(tokens[:2])}")
        if len(set(tokens)) != len(tokens):
            twice = [token for token, count in Counter(tokens).items() if count > 1]
            raise ConfigError(f"a vocabulary names each token once; given more than once: {twice[:5]}")
        self.tokens = tuple(tokens)
        self._ids = {token: i for i, token in enumerate(self.tokens)}

    @classmethod
    def from_lines(cls, lines: Iterable[str], *, min_count: int = 1, max_size: int | None = None) -> Vocabulary:
        """The vocabulary of a text: tokens by decreasing count, and of equal count in order of first appearance.

        Keeps tokens seen at least `min_count` times, and at most `max_size` tokens, `<s>` and `<unk>` included. Raises
        `ConfigError` for a `max_size` below 2.
        """
        counts = Counter(token for line in lines for token in line.split())
        for special in (EOS, UNK):
            counts.pop(special, None)
        tokens = [EOS, UNK] + [token for token, count in counts.most_common() if count >= min_count]
        if max_size is not None and max_size < 2:
            raise ConfigError(f"max_size is {max_size}; {EOS!r} and {UNK!r} alone need 2")
        return cls(tokens[:max_size])

    @classmethod
    def of_characters(cls, counts: Mapping[str, int]) -> Vocabulary:
        """The vocabulary of single characters, by decreasing count. It names the space, which no word can be."""
        listed = sorted(set(counts) - {"\n"} | {" "}, key=lambda character: (-counts.get(character, 0), character))
        return cls([EOS, UNK, *listed])

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def identity(self) -> str:
        """The SHA-256, in hexadecimal, of the tokens as a JSON list in UTF-8, without spaces, and a line feed."""
        text = json.dumps(self.tokens, ensure_ascii=False, separators=(",", ":")) + "\n"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def encode_line(self, line: str) -> list[int]:
        """Ids of the tokens of `line` and the end-of-sentence id, 0; a token not in the vocabulary is `<unk>`, 1."""
        return [self._ids.get(token, 1) for token in line.split()] + [0]

    def encode_character(self, character: str) -> int:
        """The id of a single character; `<s>`'s for a line break, `<unk>`'s for one that is not in the vocabulary."""
        return 0 if character == "\n" else self._ids.get(character, 1)

    def encode(self, lines: Iterable[str]) -> Iterator[int]:
        """Ids of a whole text as one stream, as `encode_line` gives them line by line."""
        for line in lines:
            yield from self.encode_line(line)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`: tokens separated by spaces, with a line break for every end of sentence.

        Raises `InputError` for an id out of range.
        """
        words: list[str] = []
        for i in ids:
            if not 0 <= i < len(self.tokens):
                raise InputError(f"token id {i} is not in a vocabulary of {len(self.tokens)}")
            words.append("\n" if i == 0 else self.tokens[i])
        return " ".join(words).replace(" \n ", "\n").replace(" \n", "\n").replace("\n ", "\n")

    def save(self, path: str | Path) -> None:
        """Write the tokens, in the order of their ids, to `path` as a JSON list. Raises `OSError`."""
        write_text(path, json.dumps(self.tokens, ensure_ascii=False, indent=0))

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """The vocabulary that `save` wrote to `path`. Raises `CheckpointError` if the file is anything else."""
        try:
            tokens = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} cannot be read as a vocabulary: {error}") from error
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise CheckpointError(f"{path} is not a vocabulary: expected a JSON list of strings")
        return cls(tokens)


def bytes_to_text(data: bytes) -> str:
    """`data` prepared as enwik8 is: each byte as a decimal number, separated by spaces, with the line breaks kept."""
    return "\n".join(" ".join(str(byte) for byte in line) for line in data.split(b"\n"))
