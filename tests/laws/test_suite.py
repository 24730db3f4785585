"""`LawSuite` on a model of a user's own: the example of docs/laws.md, and the same with a fault in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "laws.md"
FAULTY = """

class Shared(Elman):
    def feed(self, tokens):
        logits = super().feed(tokens)
        self.h[:] = self.h.mean(0)  # sequences of a batch see each other
        return logits


class TestShared(LawSuite):
    laws = ["sequences_of_a_batch_do_not_see_each_other"]
    targets = {"shared": LawTarget(Shared, models=st.integers(0, 9))}
"""

FEW = """
from hypothesis import Phase, settings

settings.register_profile("few", max_examples=10, derandomize=True, database=None, phases=[Phase.generate])
settings.load_profile("few")
"""


@pytest.mark.slow
def test_the_example_passes_and_with_a_fault_it_fails(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "test_mine.py").write_text(example + FAULTY)
    (tmp_path / "conftest.py").write_text(FEW)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "test_mine.py"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    passed = re.findall(r"^PASSED .*TestElman::test_law\[(\w+)-elman\]", run.stdout, re.MULTILINE)
    failed = re.findall(r"^FAILED .*::(\w+)::test_law\[(\w+)-", run.stdout, re.MULTILINE)
    assert len(passed) == 9, run.stdout
    assert failed == [("TestShared", "sequences_of_a_batch_do_not_see_each_other")]
    assert "replay('sequences_of_a_batch_do_not_see_each_other'" in run.stdout
