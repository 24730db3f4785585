"""What runs in parallel: tests of one group stay in one worker, which not every pytest lets pytest-xdist see to."""

import subprocess
import sys

import pytest

GROUP = """
import os, pytest

@pytest.fixture(scope="module")
def shared():
    return os.getpid()

@pytest.mark.parametrize("number", range(6))
def test_worker(shared, number):
    print("worker", shared)
"""


@pytest.mark.slow
def test_what_a_file_shares_is_made_once(tmp_path):
    (tmp_path / "test_group.py").write_text(GROUP)
    here = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*here, "--numprocesses", "2", "--dist", "loadgroup", "-rP", f"--rootdir={tmp_path}", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "6 passed" in done.stdout, done.stdout + done.stderr
    assert len({line for line in done.stdout.splitlines() if line.startswith("worker ")}) == 1, done.stdout
