"""How threads wait is said before torch is loaded, and only where the user has not said it."""

import subprocess
import sys

import pytest

WATCHED = """
import os, sys
from importlib.abc import MetaPathFinder
from sharnn_py.cli import main

class Watch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"))
            raise SystemExit(0)

sys.meta_path.insert(0, Watch())
main(sys.argv[1:])
"""


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
@pytest.mark.parametrize("command", [["train", "-o", "none"], ["compare", "--minutes", "1"]])
def test_threads_that_wait_sleep(tmp_path, monkeypatch, command, given, found):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    (tmp_path / "text").write_text("text " * 2000)
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED, *command, "text"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.stdout.split() == [found]
