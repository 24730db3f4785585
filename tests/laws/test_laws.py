"""Every law on every back end. A failure prints the smallest case found, and a program that runs it again."""

import subprocess
import sys

import numpy as np
import pytest

from parity.laws import LAWS, Broken, LawSuite, Spec, replay, with_repro
from parity.laws.repro import program
from sharnn_py import PAPER, Config
from tests.laws.targets import TARGETS

pytestmark = pytest.mark.slow


class TestLaws(LawSuite):
    targets = TARGETS


def test_every_law_says_why():
    """The docs' table of laws is built from their docstrings."""
    assert [name for name, function in LAWS.items() if not function.__doc__] == []


LAW, NAME = "every_segment_is_the_plain_models", "torch float32, paper"
WHERE = f"from tests.laws.test_laws import TestLaws; TestLaws.targets[{NAME!r}]"
SMALL = Spec(Config(vocab=7, emb=4, hidden=4, layers=1, max_memory=2, attention_layers=(0,), semantics=PAPER), 0)
DRAWN = [SMALL, 1, [np.array([[4], [5]]), np.array([[1]])]]


def test_a_failure_tells_how_to_run_its_case_again(monkeypatch):
    """The program that is printed needs nothing else: it holds without the fault, and finds the fault with it."""
    replay(LAW, TARGETS[NAME], DRAWN)
    left = iter(DRAWN)
    monkeypatch.setattr("sharnn_py.model.rows_dropped", lambda *args: 2)
    with pytest.raises(Broken, match="logits at") as raised:
        with_repro(LAW, TARGETS[NAME], WHERE, lambda strategy: next(left))
    (note,) = raised.value.__notes__
    printed = note.removeprefix("To run this case again:\n\n")
    assert printed == program(LAW, WHERE, DRAWN)
    plant = "import sharnn_py.model\nsharnn_py.model.rows_dropped = lambda *args: 2\n"
    sound, faulty = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        for code in (printed, plant + printed)
    )
    assert sound.returncode == 0, sound.stderr
    assert str(raised.value) in faulty.stderr
