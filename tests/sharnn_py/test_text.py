"""Text to ids and back, whole or piece by piece."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharnn_py import InputError, Vocabulary
from sharnn_py.text import Decoder, encode, of_bytes, of_characters
from sharnn_py.vocabulary import bytes_to_text

BYTES = Vocabulary(["<s>", "<unk>", *(str(byte) for byte in range(256) if byte != 10)])
WORDS = Vocabulary(["<s>", "<unk>", "the", "cat", "7"])


def decoded(vocabulary, ids, after=0):
    decoder = Decoder(vocabulary, after)
    return "".join([decoder.feed(int(i)) for i in ids] + [decoder.finish()])


def test_which_vocabularies_are_of_bytes():
    assert of_bytes(BYTES)
    assert not of_bytes(WORDS)
    assert not of_bytes(Vocabulary(["<s>", "<unk>"]))
    assert not of_bytes(Vocabulary(["<s>", "<unk>", "256"]))


@given(st.binary(max_size=60))
def test_bytes_are_what_the_data_pipeline_makes_of_them(data):
    """The data pipeline ends every line, the last too, with `<s>`; `encode` adds none after the last byte."""
    prepared = list(BYTES.encode(bytes_to_text(data).split("\n")))
    assert encode(BYTES, data).tolist() == prepared[:-1]
    assert len(encode(BYTES, data)) == len(data)


@given(st.text(max_size=40))
def test_any_text_comes_back_from_its_bytes(text):
    assert decoded(BYTES, encode(BYTES, text)) == text


@given(st.lists(st.integers(0, 256), max_size=30))
def test_pieces_join_to_what_all_ids_say(ids):
    data = b"".join(b"\n" if i == 0 else b"\xff" if i == 1 else bytes([int(BYTES.tokens[i])]) for i in ids)
    if 1 in ids:  # U+FFFD as well, though of a byte that cannot be joined with others
        pieces = [decoded(BYTES, [i for i in run]) for run in runs(ids)]
        assert decoded(BYTES, ids) == "\N{REPLACEMENT CHARACTER}".join(pieces)
    else:
        assert decoded(BYTES, ids) == data.decode(errors="replace")


def runs(ids):
    found = [[]]
    for i in ids:
        if i == 1:
            found.append([])
        else:
            found[-1].append(i)
    return found


def test_a_character_is_not_given_before_its_last_byte():
    decoder = Decoder(BYTES)
    assert [decoder.feed(int(i)) for i in encode(BYTES, "aß€")] == ["a", "", "ß", "", "", "€"]
    decoder.feed(int(encode(BYTES, b"\xc3")[0]))
    assert decoder.finish() == "\N{REPLACEMENT CHARACTER}"


def test_a_byte_that_is_not_in_the_vocabulary_is_named_with_its_place():
    few = Vocabulary(["<s>", "<unk>", "97", "98"])
    assert encode(few, "ab\na").tolist() == [2, 3, 0, 2]
    with pytest.raises(InputError, match=r"byte 99 \(b'c'\) at offset 3 .* which has 2 bytes"):
        encode(few, "ab\nc")


def test_words_are_split_on_white_space_and_unknown_ones_are_unk():
    assert encode(WORDS, "the  cat\nsat 7").tolist() == [2, 3, 0, 1, 4]
    assert encode(WORDS, "the\n").tolist() == [2, 0]
    assert encode(WORDS, "").tolist() == []
    assert encode(WORDS, b"the cat").dtype == np.int64
    with pytest.raises(InputError, match="not UTF-8 at byte 1"):
        encode(WORDS, b"a\xff")


def test_words_are_joined_by_spaces_within_lines():
    assert decoded(WORDS, [2, 3, 0, 4, 1, 0, 0, 2]) == "the cat\n7 <unk>\n\nthe"
    assert decoded(WORDS, [3, 0], after=2) == " cat\n"


CHARACTERS = Vocabulary.of_characters({"a": 3, "ß": 1, "𝄞": 2, "\n": 9})


def test_characters_are_ids_with_the_space_among_them():
    assert CHARACTERS.tokens == ("<s>", "<unk>", "a", "𝄞", "ß", " ")
    assert of_characters(CHARACTERS)
    assert not of_characters(WORDS)
    assert not of_bytes(CHARACTERS)
    assert encode(CHARACTERS, "aß\n x").tolist() == [2, 4, 0, 5, 1]
    assert decoded(CHARACTERS, [2, 4, 0, 5, 3]) == "aß\n 𝄞"
    with pytest.raises(InputError, match="not UTF-8 at byte 1; this vocabulary is of characters"):
        encode(CHARACTERS, b"a\xff")


@given(st.text(st.sampled_from("aß𝄞 \n"), max_size=30))
def test_any_text_comes_back_from_its_characters(text):
    assert decoded(CHARACTERS, encode(CHARACTERS, text)) == text
