"""`sharnn parity record`, `check` and `list` with a torch module and recordings of the user's own."""

import json

import pytest
import torch
from safetensors.torch import save_file

import parity
from tests.forked import sharnn

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run")]

MODELS = """
import torch
from torch import nn

class Carried(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 4)

    def forward(self, x, state=None):
        return self.rnn(x, state)

def reference():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))

def port():
    module = reference()
    module[1].eps = 1e-2
    return module

def carried():
    torch.manual_seed(0)
    return Carried()

def call(module, inputs, state):
    return module(*inputs, state)

def loss(output):
    return output.square().mean()

def broken():
    raise ValueError("the weights are not here")

def nothing():
    return 3

ready = reference()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models.py").write_text(MODELS)
    draw = torch.Generator().manual_seed(0)
    save_file({"x": torch.randn(5, 3, generator=draw)}, tmp_path / "one.safetensors")
    two = {f"input/{segment}/0": torch.randn(5, 2, 3, generator=draw) for segment in (1, 2)}
    save_file(two, tmp_path / "two.safetensors")
    return tmp_path


def in_folder(folder, *arguments):
    return sharnn("parity", *arguments, folder=folder)


def recorded(folder, *more):
    done = in_folder(folder, "record", "models:reference", "one.safetensors", "-o", "r.safetensors", *more)
    assert done.returncode == 0, done.stderr
    return done


def test_a_module_is_recorded_and_agrees_with_its_recording(folder):
    assert "r.safetensors: 11 tensors of torch module" in recorded(folder).stdout
    for name in ("models:reference", "models:ready"):
        done = in_folder(folder, "check", name, "r.safetensors")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "AGREEMENT: the recording agrees" in done.stdout


def test_a_port_that_differs_is_told_by_its_first_layer(folder):
    recorded(folder, "--loss", "models:loss")
    done = in_folder(
        folder, "check", "models:port", "r.safetensors", "--loss", "models:loss", "--report", "found", "-q"
    )
    assert done.returncode == 1
    first, last = done.stdout.splitlines()
    assert first == "eval/1/1 (segment 1) is wrong: the reference takes eps = 1e-05; the subject 0.01"
    assert last == "DIVERGENCE: of 1 recording, 1 diverges"
    found = json.loads((folder / "found" / "report.json").read_text())
    assert found["cases"][0]["first"] == "eval/1/1"
    assert any(c["name"].startswith("agrad/1/") for c in found["cases"][0]["comparisons"])


def test_a_module_with_a_state_over_several_segments(folder):
    made = in_folder(
        folder, "record", "models:carried", "two.safetensors", "-o", "c.safetensors", "--call", "models:call"
    )
    assert made.returncode == 0, made.stderr
    assert "carry/2/state" in parity.open(folder / "c.safetensors").tensors
    done = in_folder(folder, "check", "models:carried", "c.safetensors", "--call", "models:call", "--time-axis", "0")
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_of_the_other_program(folder):
    recorded(folder)
    recording = parity.open(folder / "r.safetensors")
    tensors = {name.replace("eval/1/1", "eval/1/normed"): recording.tensor(name).clone() for name in recording.tensors}
    save_file(tensors, folder / "theirs.safetensors")
    (folder / "names.json").write_text('{"1": "normed"}')
    done = in_folder(folder, "check", "models:port", "theirs.safetensors", "--names", "names.json")
    assert done.returncode == 1
    assert done.stdout.startswith("eval/1/normed (segment 1) is wrong: ")
    (folder / "names.json").write_text("[1]")
    done = in_folder(folder, "check", "models:port", "theirs.safetensors", "--names", "names.json")
    assert done.returncode == 2
    assert "should be a JSON object" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("models:prt", "has no 'prt'; did you mean port?"),
        ("modls:port", "there is no module modls, neither in "),
        ("models", "'models' should name a module and what is in it"),
        ("models:nothing", "models:nothing gives int; it should be a torch module"),
        ("models:broken", "models:broken stopped with ValueError at "),
    ],
)
def test_what_is_no_module_is_said_in_a_sentence(folder, name, words):
    recorded(folder)
    done = in_folder(folder, "check", name, "r.safetensors")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["models:reference"], "a module is recorded on inputs"),
        (["models:reference", "one.safetensors", "--seed", "1"], "are for Julia, not a module"),
        (["--seed", "1", "--loss", "models:loss"], "--call and --loss are for a module"),
        ([], "give either MODULE:FACTORY and INPUTS, or --seed"),
    ],
)
def test_what_cannot_be_recorded(folder, arguments, words):
    done = in_folder(folder, "record", *arguments, "-o", "r.safetensors")
    assert done.returncode == 2
    assert words in done.stderr
    assert not (folder / "r.safetensors").exists()


def test_inputs_under_other_names(folder):
    save_file({"a": torch.ones(1), "b": torch.ones(1)}, folder / "odd.safetensors")
    done = in_folder(folder, "record", "models:reference", "odd.safetensors", "-o", "r.safetensors")
    assert done.returncode == 3
    assert (
        "inputs are named input/1/0, input/1/1, input/2/0, ..., or 0, 1, ... in one segment; it holds a, b"
        in done.stderr
    )


def test_a_recording_of_any_model_is_listed_with_how_to_check_it(folder, julia):
    recorded(folder)
    julia.folder = folder
    julia.path = folder / "julia.safetensors"
    julia.write()
    done = sharnn("parity", "list", "--references", folder)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert lines["r"][1:4] == ["11", "1", "segment"]
    assert lines["julia"][2] == str(julia.config["emb"])
    assert "are not of SHA-RNN: hold a torch module against one with `sharnn parity check" in done.stdout
    ran = sharnn("parity", "run", "--references", folder, "--case", "r")
    assert ran.returncode == 3
    assert "hold a torch module against one with `sharnn parity check" in ran.stdout


def test_a_file_that_cannot_be_read_is_told_after_the_list(folder):
    recorded(folder)
    (folder / "broken.safetensors").write_bytes(b"123")
    done = sharnn("parity", "list", "--references", folder)
    assert done.returncode == 3
    assert "broken cannot be read" in done.stdout
    assert any(line.startswith("r ") for line in done.stdout.splitlines())
    assert "1 file could not be read" in done.stderr
