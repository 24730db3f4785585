"""What is done to an export's files does not reach the sessions that are running on them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from export import ExportError, Session

pytestmark = pytest.mark.usefixtures("opened_anew")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def overwrite(path):
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def truncate(path):
    os.truncate(path, 0)


@pytest.mark.parametrize("change", [overwrite, truncate, os.remove])
@pytest.mark.parametrize("stepping", [True, False])
def test_a_session_goes_on_as_it_was_whatever_becomes_of_its_files(exported, copy, change, stepping):
    """A step of one sequence reads the weights where they lie; the other graph is opened from its file later."""
    undisturbed, session = Session.load(exported), Session.load(copy)
    if stepping:
        for each in (undisturbed, session):
            each.step(np.array([3]))
    for path in copy.iterdir():
        change(path)
    for _ in range(3):
        np.testing.assert_array_equal(session.step(np.array([4])), undisturbed.step(np.array([4])))
    tokens = np.array([[5], [6]])
    np.testing.assert_array_equal(session.prefill(tokens), undisturbed.prefill(tokens))
    np.testing.assert_array_equal(session.step(np.array([4])), undisturbed.step(np.array([4])))
    with pytest.raises(ExportError):
        Session.load(copy)


def test_the_copy_is_gone_with_the_last_session(copy, temporary):
    session = Session.load(copy)
    fork = session.fork()
    del session
    fork.step(np.array([3]))
    assert len(list(temporary.glob("sharnn-*"))) == 1
    del fork
    assert list(temporary.glob("sharnn-*")) == []


SERVE = """
import sys, time
import numpy as np
from export import Session
session = Session.load(sys.argv[1])
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_the_copy_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(copy, temporary):
    command = [sys.executable, "-c", SERVE, str(copy)]
    killed, living = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2))
    try:
        for process in (killed, living):
            assert process.stdout.readline() == "ready\n"
        assert len(list(temporary.glob("sharnn-*"))) == 2
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        session = Session.load(copy)
        assert len(list(temporary.glob("sharnn-*"))) == 2
        del session
        assert len(list(temporary.glob("sharnn-*"))) == 1
    finally:
        for process in (killed, living):
            process.kill()
            process.communicate()


def test_no_room_for_the_copy_is_a_sentence(copy, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ExportError, match=r"cannot be written \(No space left on device\); set TMPDIR to a folder"):
        Session.load(copy)


def test_errors_name_the_folder_that_was_given(copy):
    overwrite(copy / "weights.safetensors")
    with pytest.raises(ExportError, match=f"{copy} was changed after its export"):
        Session.load(copy)
