"""Text ends before the first stop, wherever its pieces are cut, and nothing that can be read is kept back."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sharnn_py import ConfigError
from sharnn_py.continuation import Continuation
from sharnn_py.generated_text import GeneratedText
from sharnn_py.sampling import Sampling
from sharnn_py.stop import Stop
from sharnn_py.text import NEWLINE
from sharnn_py.vocabulary import Vocabulary

TEXT = st.text("ab", max_size=12)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


def before(text, stops):
    return text[: min((at for at in map(text.find, stops) if at >= 0), default=len(text))]


@given(st.lists(TEXT, max_size=6), STOPS)
@example(["aba", "a"], ["b", "abaa"])
@example(["ab"], ["b", "abb"])
def test_it_is_the_text_before_the_first_stop_however_it_is_cut(pieces, stops):
    stop = Stop(stops)
    read = []
    for piece in pieces:
        read += [stop.feed(piece)] if not stop.reached else []
    read += [stop.finish()] if not stop.reached else []
    text = "".join(pieces)
    assert "".join(read) == before(text, stops)
    assert stop.reached == any(found in text for found in stops)


@given(TEXT, STOPS)
def test_only_what_may_become_a_stop_is_held_back(text, stops):
    stop, read = Stop(stops), ""
    for at, letter in enumerate(text, start=1):
        read += stop.feed(letter)
        if stop.reached:
            return
        held = text[len(read) : at]
        assert not held or any(found.startswith(held) for found in stops)


@pytest.mark.parametrize(("stops", "read", "drawn"), [(["b"], "a", 2), (["bc", "x"], "a", 3), (["bd"], "abc", 3)])
def test_nothing_is_drawn_after_a_stop_and_what_was_held_back_is_read_at_the_end(stops, read, drawn):
    vocabulary = Vocabulary(["<s>", "<unk>", " ", "a", "b", "c"])
    last = Continuation(np.zeros((1, 6), np.float32), np.array([NEWLINE]))
    text = GeneratedText.after(vocabulary, last, True, 3, 1, stops)
    pieces = [text.draw(np.eye(6, dtype=np.float32)[token], Sampling(0)) for token in (3, 4, 5)]
    assert "".join(piece for _, piece in pieces) == read
    assert text.ended
    assert [token for token, _ in pieces] == [3, 4, 5][:drawn] + [NEWLINE] * (3 - drawn)
    assert text.draw(np.eye(6, dtype=np.float32)[3], Sampling(0)) == (NEWLINE, "")


@pytest.mark.parametrize("stops", ["ab", [""], [b"a"], [1]])
def test_stops_are_texts_in_a_list(stops):
    with pytest.raises(ConfigError, match="it must be a list of texts, none of them empty"):
        Stop(stops)
