"""A run that was asked for live Julia, on a machine where it cannot run: its headline and its exit code."""

import json
import os

import pytest
from junitparser import JUnitXml

from parity.recording.library import PACKAGED
from parity.recording.recording import Recording
from parity.sharnn.live import record_if_available, recorded_case
from tests.forked import sharnn
from tests.parity.test_report_page import Page

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run")]

HEADLINE = "INCOMPLETE: the recordings agree; live Julia did not run: "


@pytest.fixture
def without_julia(tmp_path):
    """Run a command where no Debian archive and no juliapkg is in reach, and no Julia in the folder for it."""
    (tmp_path / "apt.conf").write_text('Acquire::Retries::Delay "false";\n')  # it tries four times

    def run(*arguments, ci=""):
        environment = {
            **os.environ,
            "SHARNN_JULIA_DIR": str(tmp_path / "empty"),
            "SHARNN_JULIA_LANE": "debian",
            "SHARNN_DEBIAN_ARCHIVE": "http://127.0.0.1:9/nothing-listens-here",
            "APT_CONFIG": str(tmp_path / "apt.conf"),
            "CI": ci,
        }
        return sharnn("parity", *arguments, environment=environment)

    return run


def run(without_julia, folder, *options, ci=""):
    done = without_julia("run", "--case", "sha_rnn_jl/baseline_l1", *options, "--report", folder, ci=ci)
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("option", "ci", "code"),
    [("--live", "", 3), ("--live", "true", 3), ("--live-if-possible", "", 0), ("--live-if-possible", "true", 3)],
)
def test_every_report_says_so_in_its_headline(without_julia, tmp_path, option, ci, code):
    report = tmp_path / "report"
    done = run(without_julia, report, option, ci=ci)
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    headline = lines[0]
    assert headline.startswith(HEADLINE)
    assert lines[-2:] == [headline, f"report: {report / 'report.html'}"]
    assert "AGREEMENT" not in done.stdout

    content = json.loads((report / "report.json").read_text())
    assert (content["verdict"], content["exit_code"], content["agrees"]) == (headline, code, code == 0)
    page = Page((report / "report.html").read_text())
    assert f"Parity report {headline}" in page.words
    assert ("h1", {"class": "error"}) in page.elements
    first, recording = JUnitXml.fromfile(str(report / "junit.xml"))
    (test,) = first
    assert first.name == "live"
    assert test.result[0].message == headline
    assert (first.errors, first.skipped) == ((0, 1) if code == 0 else (1, 0))
    assert recording.name == "sha_rnn_jl/baseline_l1"


def test_a_divergence_comes_first_and_julia_after_it(without_julia):
    done = without_julia("run", "--case", "sha_rnn_jl/L1_h1_tied_b2", "--flip", "boom", "--live-if-possible")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()[:2]
    assert first.startswith("eval/1/blocks.1.boom (segment 1, block 1) is wrong: the reference gives the total of each")
    assert second.startswith("DIVERGENCE: of 1 recording, 1 diverges; live Julia did not run: ")


def test_what_was_not_asked_for_is_not_missed(without_julia, tmp_path):
    done = run(without_julia, tmp_path / "report", ci="true")
    assert done.returncode == 0
    assert "AGREEMENT: the recording agrees" in done.stdout


def test_make_asks_for_what_can_be_had():
    assert "--live-if-possible" in (PACKAGED.parents[1] / "Makefile").read_text()


def test_nothing_that_julia_can_run_is_no_live_run(monkeypatch, tmp_path):
    monkeypatch.setattr("parity.sharnn.live.ensure", lambda progress: None)
    recordings, reason = record_if_available([], None, tmp_path, print)
    assert recordings == []
    assert "none of the recordings asked for is of SHA-RNN.jl's model" in reason


def test_a_julia_that_does_not_start_is_none(monkeypatch, tmp_path):
    from julia_bridge import JuliaUnavailable

    class Broken:
        def __init__(self, timeout):
            raise JuliaUnavailable("libz.so.1 is missing")

    monkeypatch.setattr("parity.sharnn.live.ensure", lambda progress: None)
    monkeypatch.setattr("parity.sharnn.live.Worker", Broken)
    case = recorded_case(Recording("r", PACKAGED / "sha_rnn_jl" / "L1_h1_tied_b2.safetensors.xz"))
    assert record_if_available([case], None, tmp_path, print) == ([], "libz.so.1 is missing")


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "--live", "--case", "smerity/L2_exact_cap"),
        ("record", "--seed", "1", "--output", "x.safetensors"),
        ("train", "--updates", "1"),
    ],
)
def test_the_commands_that_need_julia_end_with_3(without_julia, command):
    done = without_julia(*command)
    assert done.returncode == 3
    assert "\nerror: no way of getting Julia works" in f"\n{done.stderr}"
    assert "Traceback" not in done.stderr
