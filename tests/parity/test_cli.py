"""`sharnn parity` as a user runs it: what it prints, what it writes, how it ends."""

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import pytest
from junitparser import JUnitXml

pytestmark = pytest.mark.slow


def sharnn(*arguments, **options):
    command = [sys.executable, "-c", "from sharnn_py.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_agreement():
    done = sharnn("parity", "run", "--case", "L1_h1_tied_b2")
    assert done.returncode == 0
    assert "AGREEMENT: all 2 recordings agree, in" in done.stdout
    assert "sha_rnn_jl/L1_h1_tied_b2  julia" in done.stdout
    assert "given to the port as its input" in done.stdout
    assert "smerity/L1_h1_tied_b2: agrees" in done.stderr


def test_divergence_names_the_first_tensor_the_worst_element_and_what_follows():
    done = sharnn("parity", "run", "--case", "sha_rnn_jl/L1_h1_tied_b2", "--flip", "boom")
    assert done.returncode == 1
    assert "first: eval/1/blocks.1.boom (segment 1, block 1)" in done.stdout
    assert "worst element [" in done.stdout
    assert "truth (subject in float64)" in done.stdout
    assert "why: the reference gives the total of each chunk" in done.stdout
    assert "isolated:" in done.stdout
    assert "end to end:" in done.stdout
    assert "eval/1/logits is off by" in done.stdout
    assert "DIVERGENCE: of 1 recording, 1 diverges" in done.stdout


def test_semantics_select_recordings_or_are_imposed_on_a_named_one():
    own = sharnn("parity", "run", "--semantics", "paper", "--case", "L1_h1_tied_b2")
    assert own.returncode == 0
    assert "sha_rnn_jl" not in own.stdout
    imposed = sharnn("parity", "run", "--semantics", "paper", "--case", "sha_rnn_jl/L1_h1_tied_b2")
    assert imposed.returncode == 1
    assert "first: eval/1/blocks.1.lnstart" in imposed.stdout


def test_files(tmp_path):
    json_path, junit_path = tmp_path / "out.json", tmp_path / "out.xml"
    done = sharnn(
        "parity", "run", "--case", "sha_rnn_jl/baseline_l1", "--case", "sha_rnn_jl/L1_h1_tied_b2",
        "--flip", "layer_norm",
        "--json", json_path, "--junit", junit_path, "--report", tmp_path / "report",
    )  # fmt: skip
    assert done.returncode == 1
    content = json.loads(json_path.read_text())
    assert content["agrees"] is False
    assert content["exit_code"] == 1
    diverging = next(case for case in content["cases"] if case["name"] == "sha_rnn_jl/L1_h1_tied_b2")
    assert diverging["first"] == "eval/1/blocks.1.lnstart"
    assert len(diverging["comparisons"]) > diverging["compared"] > 300
    assert (
        json.loads((tmp_path / "report" / "report.json").read_text())["cases"][0]["name"] == content["cases"][0]["name"]
    )

    suites = {suite.name: suite for suite in JUnitXml.fromfile(str(junit_path))}
    assert suites["sha_rnn_jl/baseline_l1"].failures == 0
    assert suites["sha_rnn_jl/L1_h1_tied_b2"].failures > 5
    assert ElementTree.parse(junit_path).getroot().get("failures") == str(suites["sha_rnn_jl/L1_h1_tied_b2"].failures)
    report = (tmp_path / "report" / "report.html").read_text()
    assert "eval/1/blocks.1.lnstart" in report
    assert "ebd62af" in report
    assert "std over n - 1, eps outside the root" in report  # a row of the ledger


def test_list_shows_provenance():
    done = sharnn("parity", "list")
    assert done.returncode == 0
    assert done.stdout.count("safetensors") == 0
    assert "smerity/L4_wide_boom" in done.stdout
    assert "alisafaya/SHA-RNN.jl@ebd62af" in done.stdout
    assert "Smerity/sha-rnn@218d748" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["parity", "run", "--case", "nonesuch"], 2, "there is no case 'nonesuch'"),
        (["parity", "run", "--flip", "gelu"], 2, "'gelu' is not one of 'layer_norm', 'boom'"),
        (["parity", "run", "--semantics", "knet"], 2, "'knet' is not one of"),
        (["parity", "run", "--references", "/nonexistent"], 2, "does not exist"),
        (["parity", "run", "--json", "/nonexistent/a.json"], 2, "there is no folder /nonexistent"),
        (["parity", "dance"], 2, "No such command 'dance'"),
        (["dance"], 2, "No such command 'dance'"),
    ],
)
def test_wrong_usage(arguments, code, words):
    done = sharnn(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_recording_does_not_keep_the_others_from_running(julia):
    julia.write()
    (julia.folder / "broken.safetensors").write_bytes(b"123")
    done = sharnn("parity", "run", "--references", julia.folder)
    assert done.returncode == 3
    assert "broken could not be run" in done.stdout
    assert "case" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_empty_folder(tmp_path):
    done = sharnn("parity", "run", "--references", tmp_path)
    assert done.returncode == 3
    assert "holds no recordings" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_is_full(tmp_path):
    """A limit on file size stands in for a full disk: the write fails half way."""
    target = tmp_path / "out.json"
    target.write_text("old")
    limited = f"ulimit -f 20; exec {sys.executable} -c 'from sharnn_py.cli import main; main()' "
    limited += f"parity run --case sha_rnn_jl/L1_h1_tied_b2 --json {target}"
    code = "import signal, subprocess, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "sys.exit(subprocess.run(['bash', '-c', sys.argv[1]], restore_signals=False).returncode)"
    done = subprocess.run([sys.executable, "-c", code, limited], capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_device_can_be_written_to():
    done = sharnn("parity", "run", "--case", "sha_rnn_jl/baseline_l1", "--json", "/dev/full")
    assert done.returncode == 3
    assert "No space left on device" in done.stderr


def test_help_answers_at_once():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = sharnn("--help")
        times.append(time.perf_counter() - start)
        assert done.returncode == 0
    assert "parity" in done.stdout
    assert min(times) < 1
