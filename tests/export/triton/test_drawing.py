"""Texts of Triton's clients on an engine, without Triton: whatever goes wrong with one, the thread serves the next."""

import threading

import pytest

from export import Engine, Session
from export.triton.drawing import Drawing


class Reader:
    left = False

    def __init__(self):
        self.text, self.error, self._ended = "", None, threading.Event()

    def tell(self, text):
        self.text += text

    def end(self, error):
        self.error = error
        self._ended.set()

    def read(self):
        assert self._ended.wait(60), "the text did not end"
        return self.text


@pytest.fixture
def drawing(exported):
    drawing = Drawing(Engine.load(exported, slots=2, threads=1), queue=10, most_tokens=100)
    yield drawing
    drawing.stop()


@pytest.fixture
def drawn(drawing):
    def draw(n=5):
        reader = Reader()
        drawing.want(reader, b"a", n, {"seed": 1})
        reader.read()
        return reader

    return draw


def test_a_text_is_a_lone_session_s(drawn, exported):
    assert drawn().text == "".join(Session.load(exported, threads=1).generate("a", 5, seed=1))


@pytest.mark.parametrize("closes", [True, False])
def test_after_a_step_that_failed_others_are_drawn(drawing, drawn, monkeypatch, closes):
    """Also where the sequence of the text that failed cannot be closed."""
    expected, scheduler = drawn().text, drawing._scheduler

    def fails(*_):
        raise RuntimeError("the device is gone")

    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "advance", fails)
        if not closes:
            patch.setattr(scheduler.engine, "close", fails)
        assert drawn().error == "the text could not be gone on with: the device is gone"
    assert drawn().text == expected


def test_a_sequence_that_cannot_be_opened_ends_its_text_alone(drawing, drawn, monkeypatch):
    def full():
        raise OSError("No space left on device")

    expected = drawn().text
    with monkeypatch.context() as patch:
        patch.setattr(drawing._scheduler.engine, "open", full)
        assert drawn().error == "No space left on device"
    assert drawn().text == expected


def test_what_is_wrong_with_a_text_is_said_and_its_sequence_closed(drawing, drawn):
    reader = Reader()
    drawing.want(reader, b"a", 5, {"temperature": -1.0})
    reader.read()
    assert "temperature" in reader.error
    assert drawing._scheduler.engine.sequences == ()
    assert drawn().error is None
