"""A command whose reader leaves, as `head` does, ends quietly: with 0, or with the verdict that it has come to."""

import json
import os
import subprocess
import sys

import pytest

from sharnn_py.cli import main
from tests.forked import forked

pytestmark = pytest.mark.slow


def unread(*arguments, number=1):
    """The command `sharnn`, in a process whose output, of that number, nobody reads any more: (exit code, stderr)."""

    def run():
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, number)
        main([str(argument) for argument in arguments])

    done = forked(run)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", [
    ["--help"], ["--version"], ["export", "--help"], ["parity", "run", "--help"], ["parity", "list"],
    ["generate", "{exported}", "--prompt", "words"], ["score", "{exported}", "{text}"],
    ["score", "{exported}", "{text}", "--backend", "torch"], ["onnx", "check", "{exported}"],
    ["export", "{checkpoint}", "-o", "{tmp}/again"],
], ids=" ".join)  # fmt: skip
def test_it_ends_quietly_with_0(command, exported, checkpoint, tmp_path):
    (tmp_path / "text").write_text("words")
    places = {"exported": exported, "checkpoint": checkpoint, "tmp": tmp_path, "text": tmp_path / "text"}
    assert unread(*[word.format(**places) for word in command]) == (0, "")


def test_a_divergence_is_one_read_or_not_and_what_was_to_be_written_is(exported, tmp_path, monkeypatch):
    from export import cuda_kernels

    monkeypatch.delitem(cuda_kernels.KERNELS, "ScatterND")
    assert unread("onnx", "check", exported, "--json", tmp_path / "found.json") == (1, "")
    assert json.loads((tmp_path / "found.json").read_text())["placements"]


def test_a_state_that_was_asked_for_is_written_though_nobody_reads_the_text(exported, tmp_path):
    written = [tmp_path / "read", tmp_path / "unread"]
    line = ["generate", str(exported), "--prompt", "words", "-n", "30", "--save-state"]
    assert unread(*line, written[1]) == (0, "")
    assert forked(lambda: main([*line, str(written[0])])).returncode == 0
    assert written[0].read_bytes() == written[1].read_bytes()


def test_an_error_is_one_though_nobody_reads_that_it_is(exported):
    assert unread("generate", number=2)[0] == 2
    assert unread("nothing", number=2)[0] == 2
    assert unread("score", exported, exported / "config.json", number=2)[0] == 3


def test_the_interpreter_ends_quietly_too():
    reader, writer = os.pipe()
    os.close(reader)
    program = "from sharnn_py.cli import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
