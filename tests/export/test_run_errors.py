"""What onnxruntime raises while a session runs is one sentence; what anything else raises stays as it is."""

import numpy as np
import pytest

from export import ProviderError, Session
from export.serving.run_errors import in_a_sentence


class Fail(Exception):
    """As onnxruntime's errors are: of its module, and of no common base."""


Fail.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"


@pytest.mark.parametrize(("provider", "error", "message"), [
    ("cuda", Fail("an illegal access\nat a line"), "cuda failed while it ran (an illegal access); load the"),
    ("cpu", RuntimeError(), "cpu failed while it ran (RuntimeError); load the session again"),
    ("cpu", MemoryError(), "(MemoryError); there is too little memory: feed fewer sequences or shorter segments"),
    ("cuda", Fail("CUDA failure 2: out of memory"), "shorter segments, or raise gpu_mem_limit where"),
])  # fmt: skip
def test_it_says_what_failed_and_what_to_do(provider, error, message):
    with pytest.raises(ProviderError) as raised, in_a_sentence(provider):
        raise error
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("error", [ProviderError("x"), TypeError("x"), KeyboardInterrupt()])
def test_what_is_not_onnxruntimes_stays_as_it_is(error):
    with pytest.raises(type(error)) as raised, in_a_sentence("cpu"):
        raise error
    assert raised.value is error


def test_a_session_runs_within_it(exported, monkeypatch):
    from onnxruntime import InferenceSession

    def fails(*arguments):
        raise Fail("Failed to allocate memory for requested buffer of size 99")

    session = Session.load(exported)
    monkeypatch.setattr(InferenceSession, "run_with_iobinding", fails)
    for feed in (lambda: session.prefill(np.array([[3]])), lambda: session.step(np.array([3]))):
        with pytest.raises(ProviderError, match=r"cpu failed while it ran .*size 99.*; there is too little memory"):
            feed()
