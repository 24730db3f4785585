"""`sharnn train` as a command: what it leaves, how it goes on after any end, and what it says of bad input."""

import hashlib
import importlib
import io
import os
import signal
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch

import sharnn_py
from sharnn_py import load_checkpoint
from sharnn_py.cli import main
from sharnn_py.trainer import enwik8, loop
from sharnn_py.trainer.journal import read_rows
from sharnn_py.trainer.saved import read_run
from tests.forked import sharnn
from tests.sharnn_py.trainer.conftest import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("imported")]

SETTINGS = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
SETTINGS += ["--threads", "1", "--precision", "float32"]


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Runs of a second save and log as often as runs of an hour."""
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.2)
    monkeypatch.setattr(loop, "SAVING_SHARE", 1.0)
    monkeypatch.setattr(loop, "LOG_EVERY", 0.2)


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    """A folder that a run of an epoch and a half has left, and what it printed."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    done = sharnn("train", text, "-o", folder, "--epochs", 1.5, *SETTINGS)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


DROPPED = ["--epochs", 1.2, "--set", "dropout_hidden=0.1", *SETTINGS]
"""A run whose updates depend on what is drawn, and that reads the text a second time."""


@pytest.fixture(scope="module")
def undisturbed(text, tmp_path_factory):
    """What such a run comes to that nothing interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed") / "model"
    assert sharnn("train", text, "-o", folder, *DROPPED).returncode == 0
    return parameters(folder)


def parameters(folder):
    return read_run(folder)[0]


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_leaves_a_checkpoint_that_scores_as_it_says(trained, text, tmp_path):
    folder, out = trained
    held_out = text.read_bytes()[-120:]
    (tmp_path / "held_out").write_bytes(held_out)
    scored = sharnn("score", folder, tmp_path / "held_out").stdout
    bits = scored.split()[0]
    assert f"best: {bits} bits per byte of the held-out text" in out
    assert "5,880 bytes of" in out
    assert "120 bytes held out; for 1.5 epochs" in out
    generated = sharnn("generate", folder, "--prompt", "in the ", "-n", 20)
    assert generated.returncode == 0
    assert load_checkpoint(folder / "last").vocabulary.tokens == load_checkpoint(folder).vocabulary.tokens


def test_it_leaves_a_log_a_picture_and_events(trained):
    folder, _ = trained
    rows = read_rows(folder / "training" / "log.csv")
    assert rows[-1].epoch >= 1.5
    assert rows[-1].valid_bits == read_run(folder)[1]["counters"]["best_bits"]
    assert rows[-1].bytes == round(rows[-1].epoch * (5880 // 4 - 1) * 4)
    assert [row.update for row in rows] == sorted({row.update for row in rows})
    picture = folder / "training" / "curve.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list((folder / "training" / "tensorboard").iterdir())
    picture.unlink()
    assert sharnn("train", "-o", folder, "--plot").returncode == 0
    assert picture.exists()


def test_it_exports(trained, tmp_path):
    done = sharnn("export", trained[0], "-o", tmp_path / "e", "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("after", [0.0, 0.15])
def test_killed_and_resumed_it_is_the_same_run(text, undisturbed, tmp_path, monkeypatch, after):
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.1)
    child = os.fork()
    if not child:
        main(["train", str(text), *map(str, DROPPED), "-o", str(tmp_path / "killed")])
    file = tmp_path / "killed" / "training" / "run.safetensors"
    while not file.exists() and not os.waitpid(child, os.WNOHANG)[0]:
        time.sleep(0.01)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    updates = read_run(tmp_path / "killed")[1]["counters"]["update"]
    done = sharnn("train", "-o", tmp_path / "killed", "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"from update {updates:,} on" in done.stdout
    assert same(parameters(tmp_path / "killed"), undisturbed)
    rows = [row.update for row in read_rows(tmp_path / "killed" / "training" / "log.csv")]
    assert rows == sorted(set(rows))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(text, undisturbed, tmp_path, monkeypatch, number):
    updates = []
    real = sharnn_py.trainer.run.Run.update

    def update(run):
        updates.append(1)
        if len(updates) == 30:
            os.kill(os.getpid(), number)
        return real(run)

    monkeypatch.setattr(sharnn_py.trainer.run.Run, "update", update)
    done = sharnn("train", text, "-o", tmp_path / "m", *DROPPED)
    assert done.returncode == 128 + number
    assert (
        f"interrupted, and saved after update 30; go on with: sharnn train -o {tmp_path / 'm'} --resume" in done.stdout
    )
    assert read_run(tmp_path / "m")[1]["counters"]["update"] == 30
    monkeypatch.setattr(sharnn_py.trainer.run.Run, "update", real)
    assert sharnn("train", text, "-o", tmp_path / "m", "--resume").returncode == 0
    assert same(parameters(tmp_path / "m"), undisturbed)


def test_it_ends_with_the_time_and_goes_on_with_more(text, tmp_path):
    began = time.monotonic()
    done = sharnn("train", text, "-o", tmp_path / "m", "--minutes", 0.02, *SETTINGS)
    assert done.returncode == 0
    assert time.monotonic() - began < 3 * 1.2 + 20  # other programs may take the processor
    seconds = read_run(tmp_path / "m")[1]["counters"]["seconds"]
    assert 0.4 < seconds < 20
    assert sharnn("train", "-o", tmp_path / "m", "--resume", "--minutes", seconds / 60 + 0.01).returncode == 0
    assert read_run(tmp_path / "m")[1]["counters"]["seconds"] > seconds


def test_a_run_that_is_done_says_so(trained):
    done = sharnn("train", "-o", trained[0], "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is left to do: the run has read the text 1.5 epochs" in done.stdout


def test_it_ends_early_when_validation_gets_no_better(text, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "VALIDATE_EVERY", 0.0)
    monkeypatch.setattr(loop, "VALIDATION_SHARE", 1e9)
    monkeypatch.setattr(loop, "bits_per_byte", lambda *_: 3.0)
    done = sharnn("train", text, "-o", tmp_path / "m", "--epochs", 50, "--set", "patience=3", *SETTINGS)
    assert done.returncode == 0
    assert "ended early: 3 validations were no better than the best" in done.stdout
    assert read_run(tmp_path / "m")[1]["counters"]["update"] == 4


def test_a_loss_that_is_not_finite_ends_it_with_the_last_good_checkpoint(text, tmp_path, monkeypatch):
    real = sharnn_py.trainer.run.nll
    calls = []

    def nll(logits, targets):
        calls.append(1)
        return real(logits, targets) * (float("nan") if len(calls) > 60 else 1.0)

    monkeypatch.setattr(sharnn_py.trainer.run, "nll", nll)
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    done = sharnn("train", text, "-o", tmp_path / "m", "--epochs", 50, *SETTINGS)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the loss of update 61 is nan")
    assert len(done.stderr.splitlines()) == 1
    assert all(torch.isfinite(t).all() for t in load_checkpoint(tmp_path / "m" / "last").model.state_dict().values())


def test_a_full_disk_is_one_sentence_and_the_last_good_checkpoint(text, tmp_path, monkeypatch):
    real = loop.write_run
    writes = []

    def write_run(*given):
        writes.append(1)
        if len(writes) > 2:
            raise OSError(28, "No space left on device", str(tmp_path / "m"))
        real(*given)

    monkeypatch.setattr(loop, "write_run", write_run)
    done = sharnn("train", text, "-o", tmp_path / "m", "--epochs", 500, *SETTINGS)
    assert done.returncode == 3
    assert done.stderr == f"error: {tmp_path / 'm'}: No space left on device\n"
    assert load_checkpoint(tmp_path / "m").model is not None
    monkeypatch.setattr(loop, "write_run", real)
    assert sharnn("train", "-o", tmp_path / "m", "--resume", "--epochs", 0.01).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{none}"], 2, "there is no such file; give the text to train on"),
        (["{text}", "--preset", "huge"], 2, "there is no preset 'huge'; the presets are paper"),
        (["{text}", "--set", "layers"], 2, "--set layers: it must be NAME=VALUE"),
        (["{text}", "--set", "layers=x"], 2, "error: layers is 'x'; it must be a whole number"),
        (["{text}", "--minutes", "0"], 2, "error: minutes is 0.0; it must be above 0"),
        (["{text}", "--minutes", "1", "--epochs", "1"], 2, "exactly one of them must be given"),
        (["{text}", "--set", "batch=4000"], 3, "5880 tokens in 4000 sequences leave 1 steps each"),
        (["{text}", "--resume"], 3, "holds no training run to go on with; leave out --resume"),
        (["--epochs", "1"], 2, "give the file to train on"),
        (["--plot"], 3, "holds no training run, and so no curve to draw"),
        (["{text}", "--semantics", "julia", "--set", "emb=16", "--set", "hidden=24"], 2, "must be a multiple of emb"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(text, tmp_path, arguments, code, message):
    given = [part.format(text=text, none=tmp_path / "none.txt") for part in arguments]
    done = sharnn("train", "-o", tmp_path / "m", *given)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()


def test_a_folder_that_holds_something_else_is_left_alone(trained, text, tmp_path):
    folder, _ = trained
    done = sharnn("train", text, "-o", folder)
    assert (done.returncode, "give --resume to go on with it, or another folder" in done.stderr) == (3, True)
    (tmp_path / "config.json").write_text("{}")
    done = sharnn("train", text, "-o", tmp_path)
    assert (done.returncode, "holds something else than a training run" in done.stderr) == (3, True)
    assert (tmp_path / "config.json").read_text() == "{}"
    for arguments in (["--seed", 5], ["--set", "layers=4"], ["--tokens", "words"]):
        done = sharnn("train", "-o", folder, "--resume", *arguments)
        assert (done.returncode, "a run is gone on with as it was begun" in done.stderr) == (2, True)
    (tmp_path / "other").write_bytes(text.read_bytes()[:-1])
    done = sharnn("train", tmp_path / "other", "-o", folder, "--resume", "--epochs", 9)
    assert (done.returncode, "the text is not the one that the run was begun with" in done.stderr) == (3, True)


def archive(data):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("enwik8", data)
    return held.getvalue()


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Serves bytes in enwik8's place, and counts how often they were asked for."""
    answers = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answers.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(Handler.data)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(enwik8, "ADDRESS", f"http://127.0.0.1:{server.server_port}/enwik8.zip")
    monkeypatch.setattr(enwik8, "TRAIN", 5000)
    monkeypatch.setattr(enwik8, "VALID", 5500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("http_proxy", raising=False)

    def serve(data):
        Handler.data = data
        return answers

    yield serve
    server.shutdown()
    server.server_close()


def test_enwik8_is_fetched_once_checked_and_split(served, text, tmp_path, monkeypatch):
    data = text.read_bytes()
    monkeypatch.setattr(enwik8, "SHA1", hashlib.sha1(data).hexdigest())
    answers = served(archive(data))
    for _ in range(2):
        corpus = enwik8.enwik8("bytes")
        assert (corpus.train_bytes, len(corpus.held_out), corpus.test) == (5000, 500, data[5500:])
    assert len(answers) == 1
    done = sharnn("train", "enwik8", "-o", tmp_path / "m", "--epochs", 0.1, *SETTINGS, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "test text: " in done.stdout
    enwik8.cached().write_bytes(data[1:])
    done = sharnn("train", "enwik8", "-o", tmp_path / "n", folder=tmp_path)
    assert (done.returncode, "this is not enwik8" in done.stderr, "remove it" in done.stderr) == (3, True, True)


@pytest.mark.parametrize("kind", ["another file", "no archive"])
def test_what_is_not_enwik8_is_not_kept(served, tmp_path, kind):
    served(archive(b"something else" * 10) if kind == "another file" else b"<html>not found</html>")
    done = sharnn("train", "enwik8", "-o", tmp_path / "m", folder=tmp_path)
    assert done.returncode == 3
    assert "this is not enwik8" in done.stderr or "could not be fetched from http://127.0.0.1" in done.stderr
    assert not enwik8.cached().exists()


def test_train_is_the_function_still_when_the_module_of_that_name_was_imported():
    importlib.import_module("sharnn_py.train")
    assert sharnn_py.train is sharnn_py.training.train
