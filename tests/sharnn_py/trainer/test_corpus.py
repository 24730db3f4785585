"""How a text is split and encoded for training."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharnn_py import InputError
from sharnn_py.text import Decoder, encode
from sharnn_py.trainer.corpus import read_corpus, split_corpus


def decoded(corpus, ids):
    decoder = Decoder(corpus.vocabulary)
    return "".join(decoder.feed(int(i)) for i in ids) + decoder.finish()


@given(st.binary(min_size=50, max_size=400))
def test_any_bytes_can_be_trained_on_and_scored(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)
    corpus = read_corpus(path, held_out=0.1)
    cut = len(data) - int(0.1 * len(data))
    assert corpus.held_out == data[cut:]
    assert corpus.train.dtype in (torch.uint8, torch.int32)
    assert len(corpus.train) == corpus.train_bytes == cut
    names = corpus.vocabulary.tokens
    assert bytes(10 if i == 0 else int(names[i]) for i in corpus.train.tolist()) == data[:cut]
    assert len(encode(corpus.vocabulary, corpus.held_out)) == len(corpus.held_out)
    assert corpus.digest == hashlib.sha256(data).hexdigest()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=60, max_size=200))
def test_characters_are_those_of_utf_8(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(text.encode())
    corpus = read_corpus(path, "characters", held_out=0.1)
    held_out = corpus.held_out.decode()
    assert decoded(corpus, corpus.train) + held_out == text
    assert decoded(corpus, encode(corpus.vocabulary, corpus.held_out)) == held_out
    assert len(encode(corpus.vocabulary, corpus.held_out)) == len(held_out)


def test_words_are_cut_at_the_end_of_a_line_and_listed_if_seen_twice(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a word and a word\nmore and more of them here\nheld out\n" * 3 + "once")
    corpus = read_corpus(path, "words", held_out=0.2)
    assert corpus.held_out.decode().startswith("more and more of them here\n")
    assert "once" not in corpus.vocabulary.tokens
    assert "held" in corpus.vocabulary.tokens
    assert decoded(corpus, corpus.train).endswith("a word and a word\n")
    assert corpus.bytes_per_token > 3


@pytest.mark.parametrize("data", [b"", b"short"])
def test_a_text_too_short_to_hold_anything_out_is_refused(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=r"of which 0 would be held out .* give a longer text"):
        read_corpus(tmp_path / "file")


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_what_is_not_utf_8_has_bytes_only(tmp_path, unit):
    (tmp_path / "file").write_bytes(b"\xff\xfe" * 100)
    with pytest.raises(InputError, match=r"is not UTF-8, so it has no .*--tokens bytes"):
        read_corpus(tmp_path / "file", unit)


def test_nothing_held_out_reaches_what_is_trained_on_but_the_names_of_its_bytes():
    a, b = (split_corpus(b"abc" * 20, held_out, "bytes", "text") for held_out in (b"abca", b"cccc"))
    assert a.vocabulary.tokens == b.vocabulary.tokens or sorted(a.vocabulary.tokens) == sorted(b.vocabulary.tokens)
    words = [split_corpus(b"a b a b\n" * 4, held_out, "words", "text") for held_out in (b"a b", b"new new new")]
    assert words[0].vocabulary.tokens == words[1].vocabulary.tokens
    assert torch.equal(words[0].train, words[1].train)
