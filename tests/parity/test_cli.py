"""`sharnn parity` as a user runs it: what it prints, what it writes, how it ends."""

import contextlib
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch
from junitparser import JUnitXml
from safetensors.torch import save_file

from tests.forked import sharnn

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run")]


def started(*arguments, **options):
    """The command in a fresh interpreter."""
    command = [sys.executable, "-c", "from sharnn_py.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_agreement():
    done = started("parity", "run", "--case", "L1_h1_tied_b2")
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
        "--flip", "layer_norm", "--jobs", "1",
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
    assert suites["sha_rnn_jl/L1_h1_tied_b2"].failures == 5  # one for each segment, whose first layer is wrong
    assert suites["sha_rnn_jl/L1_h1_tied_b2"].skipped > 5
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["parity", "run", "--case", "smerity/L4_wide_bom"], "did you mean smerity/L4_wide_boom"),
        (["parity", "run", "--case", "L4_longsg"], "did you mean "),
        (["parity", "diff", "L4_wide_bom", "L4_longseg"], "did you mean smerity/L4_wide_boom"),
        (["parity", "lst"], "Did you mean list?"),
    ],
)
def test_a_misspelt_name_is_guessed(arguments, words):
    done = sharnn(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_pattern_names_several_cases():
    done = sharnn("parity", "run", "--case", "sha_rnn_jl/base*", "-q", "-j", "1")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("AGREEMENT: all 3 recordings agree")
    assert done.stderr == ""


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_is_begun_after_the_first_divergence(jobs):
    cases = ["--case", "sha_rnn_jl/L1_h1_tied_b2", "--case", "sha_rnn_jl/base*"]
    done = sharnn("parity", "run", *cases, "--flip", "boom", "--fail-fast", "--jobs", jobs)
    assert done.returncode == 1
    assert "stopped at the first that does not agree: 3 of 4 recordings were not run" in done.stdout
    assert "baseline" not in done.stdout


def test_a_folder_that_cannot_be_written_to_is_told_before_the_run(tmp_path):
    (tmp_path / "file").touch()
    start = time.perf_counter()
    done = sharnn("parity", "run", "--report", tmp_path / "file" / "report")
    assert done.returncode == 2
    assert "no folder can be made there: Not a directory" in done.stderr
    assert time.perf_counter() - start < 20  # all recordings take longer


def test_a_reader_that_leaves_is_no_error():
    command = f"{sys.executable} -c 'from sharnn_py.cli import main; main()'"
    line = f"{command} parity list | head -n 1; echo ${{PIPESTATUS[@]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[0].startswith("recording")
    assert done.stdout.splitlines()[-1] == "0 0"
    assert done.stderr == ""


def test_a_reader_that_leaves_misses_no_report(tmp_path):
    command = f"{sys.executable} -c 'from sharnn_py.cli import main; main()' parity run --case baseline_l1 --flip boom"
    line = f"{command} --report {tmp_path} 2>/dev/null | true; echo ${{PIPESTATUS[@]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert done.stdout == "0 0\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.html", "report.json"]


def running(group):
    """The processes of a group, but for those that have ended and wait for somebody to ask how."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = path.read_text().rpartition(")")
            state, _, its_group, *_ = rest.split()
            if int(its_group) == group and state != "Z":
                found[path.parent.name] = name
    return found


def test_terminated_it_leaves_nothing_behind(tmp_path):
    """Neither half a report, nor a temporary folder, nor a process that goes on."""
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-c", "from sharnn_py.cli import main; main()", "parity", "run", "--jobs", "2"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    run = subprocess.Popen(
        [*command, "--report", str(tmp_path / "report")], env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stderr.readline()  # a case is done, so others are under way
    run.terminate()
    run.communicate(timeout=30)
    assert run.returncode == 143
    assert list((tmp_path / "report").iterdir()) == []
    assert [path.name for path in (tmp_path / "tmp").iterdir() if not path.name.startswith("torchinductor")] == []
    limit = time.monotonic() + 20
    while alive := running(run.pid):
        assert time.monotonic() < limit, alive
        time.sleep(0.1)


def complete(words):
    environment = {**os.environ, "_SHARNN_COMPLETE": "bash_complete", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split()) - 1)
    return [line.split(",")[1] for line in started(env=environment).stdout.splitlines()]


def test_a_shell_completes_names_of_cases(tmp_path):
    assert complete("sharnn parity run --case smerity/L4_w") == ["smerity/L4_wide_boom"]
    assert complete("sharnn parity run --case L4_wi") == ["L4_wide_boom"]
    assert complete("sharnn parity diff sha_rnn_jl/L4_long") == ["sha_rnn_jl/L4_longseg"]
    (tmp_path / "mine.safetensors").touch()
    assert complete(f"sharnn parity run --references {tmp_path} --case m") == ["mine"]


def test_a_summary_is_appended_for_github(tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    environment = {**os.environ, "GITHUB_STEP_SUMMARY": str(path)}
    done = sharnn("parity", "run", "--case", "sha_rnn_jl/L1_h1_tied_b2", "--flip", "boom", environment=environment)
    assert done.returncode == 1
    before, heading, _, sentence, *_ = path.read_text().splitlines()
    assert before == "before"
    assert heading == "### DIVERGENCE: of 1 recording, 1 diverges"
    assert sentence.startswith("eval/1/blocks.1.boom (segment 1, block 1) is wrong: the reference gives the total of")


def test_one_sentence_numbers_blocks_one_way_and_a_known_difference_is_linked(tmp_path):
    done = sharnn("parity", "run", "--case", "sha_rnn_jl/L1_h1_tied_b2", "--flip", "boom", "--report", tmp_path)
    assert "(recomputing it this way reduces the error from" in done.stdout
    assert "blocks.0" not in done.stdout
    assert "known: boom" in done.stdout
    page = (tmp_path / "report.html").read_text()
    assert 'href="#known-' in page
    hint = next(h for c in json.loads((tmp_path / "report.json").read_text())["cases"][0]["comparisons"]
                for h in c["hints"])  # fmt: skip
    assert hint["at"] == "blocks.1.boom"


def test_diff_claims_nothing_that_it_did_not_run(tmp_path):
    for name, scale in (("a", 1.0), ("b", 1.5)):
        values = torch.arange(6.0).reshape(2, 3)
        save_file({"eval/1/one": values, "eval/1/two": values * scale, "eval/1/three": values * scale},
                  tmp_path / f"{name}.safetensors")  # fmt: skip
    done = sharnn("parity", "diff", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--report", tmp_path / "r")
    assert done.returncode == 1
    assert "no program was run" in done.stdout
    page = (tmp_path / "r" / "report.html").read_text()
    junit = (tmp_path / "r" / "junit.xml").read_text()
    for claim in ("in isolation", "isolated", "inherit", "the truth"):
        assert claim not in done.stdout
        assert claim not in junit
        assert claim not in page[page.index('<section id="off">') : page.index("<script type=")]


def test_a_broken_recording_does_not_keep_the_others_from_running(julia):
    julia.write()
    (julia.folder / "broken.safetensors").write_bytes(b"123")
    done = sharnn("parity", "run", "--references", julia.folder, "--jobs", "1")
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
        done = started("--help")
        times.append(time.perf_counter() - start)
        assert done.returncode == 0
    assert "parity" in done.stdout
    assert min(times) < 1
