"""A Julia that interprets, where almost everything runs once and compiling it would take most of a test's time."""

import pytest


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Julia that this test starts interprets. (The shared `worker` has been started before by whoever asks.)"""
    monkeypatch.setenv("PYTHON_JULIACALL_COMPILE", "min")
