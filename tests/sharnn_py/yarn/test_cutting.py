"""Texts are cut into phrases at lines, sentences, verses or every so many bytes."""

from itertools import pairwise

import pytest

from sharnn_py.errors import ConfigError
from sharnn_py.yarn.cutting import LONGEST, cut


def phrases(data, how):
    found = cut(data, how)
    assert all(one.end <= two.start for one, two in pairwise(found))
    return [data[one.start : one.end].decode() for one in found]


def test_lines():
    assert phrases(b"one\n\n  two \n---\nthree", "lines") == ["one", "two", "three"]
    assert [phrase.place for phrase in cut(b"one\n\n  two \n---\nthree", "lines")] == ["line 1", "line 3", "line 5"]


def test_sentences():
    text = b'He said: "Go!" She\nwent. (Was it late?) 3.14 is no end\n\nA new part'
    assert phrases(text, "sentences") == [
        'He said: "Go!"',
        "She\nwent.",
        "(Was it late?)",
        "3.14 is no end",
        "A new part",
    ]
    assert [phrase.place for phrase in cut(text, "sentences")] == ["line 1", "line 1.2", "line 2", "line 2.2", "line 4"]


def test_a_sentence_without_end_is_cut_at_white_space():
    found = phrases(b"word " * 1000, "sentences")
    assert len(found) > 4
    assert all(len(one) <= LONGEST and one.endswith("word") for one in found)


def test_spans_of_bytes_end_with_words_and_never_within_a_character():
    assert phrases(b"one two three four", "8") == ["one two", "three", "four"]
    text = "日本語の長い文章".encode()
    assert "".join(phrases(text, "7")) == text.decode()
    assert "".join(phrases(text, "1")) == text.decode()


VERSES = b"""\
Genesis 1

  1 In the beginning
of it.
  2 And then 40 days.

1 John 2

  3 Little children 5
"""


def test_verses_have_their_references():
    assert phrases(VERSES, "verses") == ["In the beginning\nof it.", "And then 40 days.", "Little children 5"]
    assert [phrase.place for phrase in cut(VERSES, "verses")] == ["Genesis 1:1", "Genesis 1:2", "1 John 2:3"]


@pytest.mark.parametrize("how", ["words", "0", "-3", "1.5", ""])
def test_anything_else_is_refused(how):
    with pytest.raises(ConfigError, match="lines, sentences, verses"):
        cut(b"text", how)


@pytest.mark.parametrize("how", ["lines", "sentences", "verses", "10"])
def test_a_text_without_words_has_no_phrases(how):
    assert cut(b" \n--\n\n...", how) == []
