"""A machine that serves has a few packages, no torch and no onnx, and on it an export is loaded, continued and scored.

The environment is made by the Dockerfile's own commands, in a venv in place of a container.
"""

import json
import os
import re
import subprocess
import venv
from pathlib import Path

import pytest

from export import export_checkpoint
from sharnn_py import PAPER, Config, SharnnError, Vocabulary, save_checkpoint
from tests.conftest import unavailable
from tests.export.conftest import SIZES, WORDS, trained_looking

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MEGABYTES = 220
"""The most that everything may take. It was measured as 163, of which onnxruntime is 68 and NumPy 73."""


def listed(name):
    """The packages of a file of requirements, as it names them."""
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def name_of(requirement):
    return re.split("[=~]=", requirement)[0]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(trained_looking(Config(**SIZES, semantics=PAPER)), folder, Vocabulary(WORDS))
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    export_checkpoint(checkpoint, folder)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Python of an environment that the Dockerfile's commands were run in."""
    folder = tmp_path_factory.mktemp("serving")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    commands = re.findall(r"^RUN .*?\b(pip .*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["wheel", "install"]
    for command in commands:
        here = command.replace("/wheel", f"{folder}/wheel").replace("/sharnn", str(ROOT))
        here = here.replace("/$REQUIREMENTS", str(ROOT / "requirements-serving.txt"))
        done = subprocess.run(["sh", "-c", f"{python} -m {here}"], capture_output=True, text=True, timeout=600)
        if done.returncode:
            unavailable("a serving environment", SharnnError(done.stderr))
    return python


def run(*command, **options):
    """What a command in the environment prints, and exits with; nothing of this process's Python reaches it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=clean, timeout=100, **options)
    return done.returncode, done.stdout, done.stderr


SERVE = """
import importlib.util, json, sys
from export import Session

session = Session.load(sys.argv[1])
text = "".join(session.generate("a prompt of words", 30, seed=3))
score = session.score("words and more words").nats
there = [name for name in ("torch", "onnx", "rich", "google.protobuf") if importlib.util.find_spec(name.split(".")[0])]
print(json.dumps([text, score, there]))
"""


def test_it_computes_what_the_whole_installation_does(python, exported, tmp_path):
    from export import Session

    code, out, err = run(python, "-c", SERVE, exported, cwd=tmp_path)
    assert (code, err) == (0, "")
    text, score, there = json.loads(out)
    assert there == []
    session = Session.load(exported)
    assert text == "".join(session.generate("a prompt of words", 30, seed=3))
    assert score == session.score("words and more words").nats


def test_it_has_the_listed_packages_in_the_tested_versions_and_little_else(python, tmp_path):
    count = """
import importlib.metadata, json, pathlib, sysconfig
files = pathlib.Path(sysconfig.get_path("purelib")).rglob("*")
size = sum(f.stat().st_size for f in files if f.is_file() and f.parts[-2] != "__pycache__")
print(json.dumps([sorted(d.name for d in importlib.metadata.distributions()), size]))
"""
    names, size = json.loads(run(python, "-c", count, cwd=tmp_path)[1])
    requirements = listed("requirements-serving.txt")
    assert set(names) - {"pip", "setuptools"} == {"sharnn", *map(name_of, requirements)}
    assert size < MEGABYTES * 1e6
    tested = (ROOT / "constraints.txt").read_text().replace("onnxruntime-gpu", "onnxruntime").splitlines()
    assert [requirement for requirement in requirements if requirement not in tested] == []


def test_what_serves_on_a_gpu_is_the_same_and_the_libraries_that_are_loaded():
    gpu = [line.replace("onnxruntime-gpu", "onnxruntime") for line in listed("requirements-serving-gpu.txt")]
    theirs = {"cublas", "cuda-nvrtc", "cuda-runtime", "cudnn-cu13", "curand"}
    assert {name_of(line) for line in set(gpu) - set(listed("requirements-serving.txt"))} == {
        f"nvidia-{x}" for x in theirs
    }
    assert set(listed("requirements-serving.txt")) <= set(gpu)


def test_the_command_line_generates_and_scores(python, exported, tmp_path):
    sharnn = python.with_name("sharnn")
    (tmp_path / "text").write_text("words and\nmore words")
    code, out, err = run(
        sharnn, "generate", exported, "--prompt", "words", "-n", 20, "--save-state", tmp_path / "state"
    )
    assert (code, err) == (0, "")
    assert len(out) > 15
    assert run(sharnn, "generate", exported, "--prompt", " and", "-n", 20, "--state", tmp_path / "state")[0] == 0
    code, out, err = run(sharnn, "score", exported, tmp_path / "text")
    assert (code, err) == (0, "")
    assert "bits per byte (20 bytes)" in out


@pytest.mark.parametrize("command", [
    "", "export", "generate", "score", "onnx", "onnx check", "julia", "parity", "parity run", "parity check",
    "parity diff", "parity explain", "parity mutants", "parity record", "parity list",
])  # fmt: skip
def test_all_of_it_has_its_help(python, command, tmp_path):
    code, out, err = run(python.with_name("sharnn"), *command.split(), "--help", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: sharnn")


@pytest.mark.parametrize("command", [
    "export {checkpoint} -o again", "onnx check {exported}", "generate {checkpoint} --prompt a",
    "score {exported} {text} --backend torch", "parity list", "parity run", "parity explain", "parity mutants",
    "parity diff {text} {text}", "parity check a:b {text}", "julia doctor",
])  # fmt: skip
def test_what_cannot_work_there_says_so_in_a_sentence(python, command, checkpoint, exported, tmp_path):
    (tmp_path / "text").write_text("words")
    words = command.format(checkpoint=checkpoint, exported=exported, text=tmp_path / "text").split()
    code, out, err = run(python.with_name("sharnn"), *words, cwd=tmp_path)
    assert (code, out) == (3, "")
    assert re.fullmatch(r"error: this command needs \w+, which is not installed: pip install sharnn brings it; what "
                        r"serves exports, sharnn generate and sharnn score, works without\n", err)  # fmt: skip


def test_the_container_is_built_from_files_that_are_there():
    copied = re.findall(r"^COPY (.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    names = [name for names in copied for name in names.split() if name != "."]
    assert [name for name in (*names, *kept) if not (ROOT / name).exists()] == []
    assert set(names) <= set(kept)
