"""Temporary folders that do not outlive their process for long."""

import errno
import os
import signal

from sharnn_py.scratch import new_folder, scratch


def test_it_is_gone_at_the_end_and_after_an_exception(tmp_path):
    with scratch(tmp_path, "a.") as folder:
        (folder / "file").write_text("x")
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []
    try:
        with scratch(tmp_path, "a."):
            raise KeyError
    except KeyError:
        assert list(tmp_path.iterdir()) == []


def test_that_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(tmp_path):
    living, remove = new_folder(tmp_path, "a.")
    (tmp_path / "a.notes").mkdir()  # nobody's scratch
    child = os.fork()
    if not child:
        new_folder(tmp_path, "a.")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(list(tmp_path.iterdir())) == 3
    with scratch(tmp_path, "a.") as folder:
        assert sorted(tmp_path.iterdir()) == sorted([living, tmp_path / "a.notes", folder])
    remove()


def test_a_file_system_without_locks_has_them_too(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr("sharnn_py.scratch.fcntl.flock", flock)
    first, remove = new_folder(tmp_path, "a.")
    with scratch(tmp_path, "a.") as second:
        assert first.exists()
        assert second.exists()
    remove()
    assert list(tmp_path.iterdir()) == []
