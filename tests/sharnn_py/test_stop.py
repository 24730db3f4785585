"""Text ends before the first stop, wherever its pieces are cut, and nothing that can be read is kept back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharnn_py import ConfigError
from sharnn_py.stop import Stop, until

TEXT = st.text("ab", max_size=12)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


def before(text, stops):
    return text[: min((at for at in map(text.find, stops) if at >= 0), default=len(text))]


@given(st.lists(TEXT, max_size=6), STOPS)
def test_it_is_the_text_before_the_first_stop_however_it_is_cut(pieces, stops):
    stop = Stop(stops)
    read = list(until(stop, pieces))
    text = "".join(pieces)
    assert "".join(read) == before(text, stops)
    assert "" not in read
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


def test_no_more_is_asked_for_after_a_stop():
    asked = []

    def pieces():
        for piece in ("a", "b", "c"):
            asked.append(piece)
            yield piece

    assert list(until(Stop(["b"]), pieces())) == ["a"]
    assert asked == ["a", "b"]


@pytest.mark.parametrize("stops", ["ab", [""], [b"a"], [1]])
def test_stops_are_texts_in_a_list(stops):
    with pytest.raises(ConfigError, match="it must be a list of texts, none of them empty"):
        Stop(stops)
