"""Threads that share a session wait for one another: every token is fed, and none twice."""

import threading
import time

import numpy as np
import pytest
from onnxruntime import InferenceSession

from export import Session
from sharnn_py import InputError, TorchSession

THREADS = 4


@pytest.fixture(params=["onnx", "torch"])
def session(request, exported, monkeypatch):
    """A session whose computations take long enough to be interrupted by another thread's."""
    if request.param == "torch":
        session = TorchSession.load(exported)
        session.model.register_forward_pre_hook(lambda *_: time.sleep(0.01))
        return session
    real = InferenceSession.run_with_iobinding

    def slowly(self, *arguments):
        time.sleep(0.01)
        real(self, *arguments)
        time.sleep(0.01)

    monkeypatch.setattr(InferenceSession, "run_with_iobinding", slowly)
    return Session.load(exported)


def at_once(call):
    """Call it in several threads; what they returned."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(call())) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == THREADS  # none raised
    return found


@pytest.mark.parametrize("feed", [
    lambda s: s.step(np.array([5])), lambda s: s.prefill(np.array([[5]]))[0],
    lambda s: "".join(s.generate("", 1, temperature=0)),
])  # fmt: skip
def test_every_token_of_every_thread_is_fed_once(session, feed):
    session.step(np.array([3]))
    alone = session.fork()
    for _ in range(THREADS):
        feed(alone)
    at_once(lambda: feed(session))
    np.testing.assert_allclose(session.step(np.array([7])), alone.step(np.array([7])), rtol=1e-5, atol=1e-6)


def test_forks_of_one_session_are_fed_side_by_side(session):
    session.step(np.array([3]))
    expected = session.fork().step(np.array([5]))
    for logits in at_once(lambda: session.fork().step(np.array([5]))):
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_saving_and_loading_wait_for_a_step(session, tmp_path):
    session.step(np.array([3]))

    def save_and_step():
        path = tmp_path / f"{threading.get_ident()}"
        session.save_state(path)
        session.fork().load_state(path)
        return session.step(np.array([5]))

    assert len({logits.tobytes() for logits in at_once(save_and_step)}) == THREADS


def test_a_reset_ends_what_another_thread_generates(exported):
    session = Session.load(exported)
    pieces = session.generate("words", 50)
    next(pieces)
    thread = threading.Thread(target=session.reset)
    thread.start()
    thread.join()
    with pytest.raises(InputError, match="the session was reset while it generated text"):
        list(pieces)
