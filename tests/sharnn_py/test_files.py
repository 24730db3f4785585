"""Files are written whole or not at all, errors name the file that was asked for, and nothing is left beside it."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from sharnn_py.files import beside, write_bytes

KILLED = """
import sys, time
from sharnn_py.files import beside
with beside(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that is writing the file."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "state")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


def test_what_a_killed_writer_left_is_removed_by_the_next(writer, tmp_path):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(os.listdir(tmp_path)) == 1
    write_bytes(tmp_path / "state", b"whole")
    assert os.listdir(tmp_path) == ["state"]


def test_what_a_living_writer_writes_and_other_files_stay(writer, tmp_path):
    (tmp_path / ".state.mine").write_bytes(b"")
    write_bytes(tmp_path / "state", b"whole")
    assert len(os.listdir(tmp_path)) == 3


def test_writers_at_once_do_not_take_each_other_for_dead(tmp_path):
    failed = []

    def write(number):
        try:
            for _ in range(20):
                write_bytes(tmp_path / "state", bytes([number]) * 1000)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert os.listdir(tmp_path) == ["state"]
    assert len(set((tmp_path / "state").read_bytes())) == 1


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        write_bytes(tmp_path / "no" / "state", b"")
    assert missing.value.filename == str(tmp_path / "no" / "state")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as folder, beside(tmp_path / "folder"):
        pass
    assert folder.value.filename == str(tmp_path / "folder")
    with pytest.raises(OSError, match="No space left") as full, beside(tmp_path / "state"):
        raise OSError(28, "No space left on device")
    assert full.value.filename == str(tmp_path / "state")
    assert os.listdir(tmp_path) == ["folder"]
