"""Text to ids and back."""

import pytest

from sharnn_py import CheckpointError, ConfigError, InputError, Vocabulary
from sharnn_py.vocabulary import bytes_to_text

LINES = ["b a a", "", "c a b"]


def test_ids_go_by_falling_count_after_the_two_specials():
    vocabulary = Vocabulary.from_lines(LINES)
    assert vocabulary.tokens == ("<s>", "<unk>", "a", "b", "c")
    assert list(vocabulary.encode(LINES)) == [3, 2, 2, 0, 0, 4, 2, 3, 0]
    assert vocabulary.encode_line("a z") == [2, 1, 0]
    assert vocabulary.decode([3, 2, 2, 0, 0, 4, 2, 3, 0]) == "b a a\n\nc a b\n"


def test_specials_in_the_text_keep_their_ids():
    assert Vocabulary.from_lines(["<unk> <unk> x <s>"]).tokens == ("<s>", "<unk>", "x")


def test_rare_tokens_and_large_vocabularies_are_cut():
    assert Vocabulary.from_lines(LINES, min_count=2).tokens == ("<s>", "<unk>", "a", "b")
    assert Vocabulary.from_lines(LINES, max_size=3).tokens == ("<s>", "<unk>", "a")
    with pytest.raises(ConfigError, match="max_size is 1"):
        Vocabulary.from_lines(LINES, max_size=1)


def test_bad_vocabularies_and_ids():
    with pytest.raises(ConfigError, match="begins with"):
        Vocabulary(["a", "b"])
    with pytest.raises(ConfigError, match="more than once"):
        Vocabulary(["<s>", "<unk>", "a", "a"])
    with pytest.raises(InputError, match="token id 9"):
        Vocabulary(["<s>", "<unk>"]).decode([9])


def test_saved_and_loaded(tmp_path):
    vocabulary = Vocabulary.from_lines(["ü 漢 a"])
    vocabulary.save(tmp_path / "v.json")
    assert Vocabulary.load(tmp_path / "v.json").tokens == vocabulary.tokens
    (tmp_path / "v.json").write_text('{"a": 1}')
    with pytest.raises(CheckpointError, match="expected a JSON list"):
        Vocabulary.load(tmp_path / "v.json")


def test_enwik8_as_decimal_bytes():
    assert bytes_to_text("né\nx".encode()) == "110 195 169\n120"
