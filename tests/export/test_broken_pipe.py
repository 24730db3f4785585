"""A command whose reader leaves, as `head` does, ends quietly: with 0, or with the verdict that it has come to."""

import json
import os
import subprocess
import sys

import pytest

from sharnn_py.cli import main
from tests.forked import forked

pytestmark = pytest.mark.slow
ONE = pytest.mark.parametrize("config", ["paper"], indirect=True)
"""One model: its semantics have nothing to do with who reads."""


def unread(*arguments, number=1):
    """The command `sharnn`, in a process whose output, of that number, nobody reads any more: (exit code, stderr)."""

    def run():
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, number)
        main([str(argument) for argument in arguments])

    done = forked(run)
    return done.returncode, done.stderr


@ONE
@pytest.mark.parametrize("command", [
    ["--help"], ["--version"], ["export", "--help"], ["parity", "run", "--help"], ["parity", "list"],
    ["generate", "{exported}", "--prompt", "words"], ["score", "{exported}", "{text}"],
    ["score", "{exported}", "{text}", "--backend", "torch"], ["onnx", "check", "{exported}"],
    ["export", "{checkpoint}", "-o", "{tmp}/again"],
], ids=" ".join)  # fmt: skip
def test_it_ends_quietly_with_0(command, config, export_of, tmp_path):
    (tmp_path / "text").write_text("words")
    _, exported = export_of(config, layers=1, attention_layers=(0,))
    places = {"exported": exported, "checkpoint": exported.with_name("checkpoint"), "tmp": tmp_path}
    places["text"] = tmp_path / "text"
    assert unread(*[word.format(**places) for word in command]) == (0, "")


@ONE
def test_a_divergence_is_one_read_or_not_and_what_was_to_be_written_is(config, export_of, tmp_path, monkeypatch):
    from export import cuda_kernels

    _, exported = export_of(config, layers=1, attention_layers=(0,))
    monkeypatch.delitem(cuda_kernels.KERNELS, "ScatterND")
    assert unread("onnx", "check", exported, "--json", tmp_path / "found.json") == (1, "")
    assert json.loads((tmp_path / "found.json").read_text())["placements"]


@ONE
def test_a_state_that_was_asked_for_is_written_though_nobody_reads_the_text(exported, tmp_path):
    written = [tmp_path / "read", tmp_path / "unread"]
    line = ["generate", str(exported), "--prompt", "words", "-n", "30", "--save-state"]
    assert unread(*line, written[1]) == (0, "")
    assert forked(lambda: main([*line, str(written[0])])).returncode == 0
    assert written[0].read_bytes() == written[1].read_bytes()


@ONE
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
