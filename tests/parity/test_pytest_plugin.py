"""The fixture `assert_parity` in another project's suite: reports, workers, references of its own, names that clash."""

import json
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from sharnn_py import pytest_plugin
from tests.forked import forked
from tests.parity import report_samples as samples

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

MODULE = """
import os
import torch
from torch import nn

def module(scale):
    torch.manual_seed(0)
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.mul_(scale)
    return nn.Sequential(layer, nn.Tanh())
"""

SUITE = f"""
{MODULE}
import parity
REFERENCE = parity.capture(module(1), torch.ones(2, 3))

def test_same(assert_parity):
    assert assert_parity(module(1), REFERENCE).compared == 5

def test_other(assert_parity):
    assert_parity(module(2), REFERENCE)
"""

OWN = f"""
{MODULE}
import pytest
SCALE = float(os.environ.get("SCALE", "1"))

@pytest.mark.parametrize("wide", [False, True], ids=["a/b", "c"])
def test_port(assert_parity, wide):
    assert_parity(module(SCALE), inputs=torch.ones(4 if wide else 2, 3), loss=torch.sum)

class TestTwice:
    def test_it(self, assert_parity):
        assert_parity(module(SCALE), inputs=[torch.ones(1, 3), (torch.zeros(1, 3),)])
        assert_parity(module(SCALE), inputs=torch.zeros(2, 3))
"""


# No `parity`: an environment that was installed before the entry point had its present name may have that.
# No Schemathesis, which takes half a second to import.
PLUGINS = ["-p", "no:parity", "-p", "no:schemathesis", "-p", "sharnn_py.pytest_plugin", "-p", "no:cacheprovider"]


@pytest.fixture
def run(pytester):
    """pytest in a fork of this process."""

    def run(*arguments):
        def begin():
            warnings.resetwarnings()  # ours are errors, also of what its plugins import
            sys.exit(pytest.main([*PLUGINS, *arguments]))

        done = forked(begin, folder=pytester.path)
        return pytest.RunResult(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), 0.0)

    return run


@pytest.fixture
def start(pytester):
    """pytest in a process of its own, as in an environment where sharnn's entry point is installed."""
    return lambda *arguments: pytester.runpytest_subprocess(*PLUGINS, *arguments)


def found(pytester, name="report.json"):
    return json.loads((pytester.path / "found" / name).read_text())


def test_a_report_of_all_tests_and_a_line_that_says_layer_and_cause(pytester, start):
    pytester.makepyfile(SUITE)
    result = start("--parity-report", "found")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.fnmatch_lines(["parity: 1 of 2 cases off; *::test_other: *: param/0.weight *is wrong: *scaled by 2*"])
    assert (pytester.path / "found" / "report.html").stat().st_size > 1000
    assert "test_other" in (pytester.path / "found" / "junit.xml").read_text()


def test_without_the_option_no_report_is_written(pytester, run):
    pytester.makepyfile(SUITE)
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["parity: 1 of 2 cases off; *"])
    assert list(pytester.path.rglob("report.*")) == []


def test_workers_lose_no_case(pytester, run):
    names = [f"test_{letter}.py" for letter in "abc"]
    for name in names:
        (pytester.path / name).write_text(SUITE)
    result = run("--parity-report", "found", "-n", "2")
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["parity: 3 of 6 cases off; *"])
    cases = {case["name"].partition(": ")[0]: case["verdict"] for case in found(pytester)["cases"]}
    expected = {"same": "agrees", "other": "diverges"}
    assert cases == {f"{name}::test_{test}": verdict for name in names for test, verdict in expected.items()}


CRASHING = f"""
{SUITE.replace("test_other", "unused")}

def test_dies(assert_parity):
    os._exit(9)
"""


@pytest.mark.parametrize(
    ("body", "workers"),
    [
        ("assert_parity(module(1), None, names=3)", []),
        ("assert_parity(module(1), REFERENCE); assert False, 'else'", []),
        ("1 / 0", ["-n", "1"]),
    ],
)
def test_no_agreement_over_a_test_that_failed_otherwise(pytester, run, body, workers):
    pytester.makepyfile(f"{SUITE.replace('test_other', 'unused')}\n\ndef test_bad(assert_parity):\n    {body}\n")
    run("--parity-report", "found", *workers).assert_outcomes(passed=1, failed=1)
    assert found(pytester)["verdict"].startswith("ERROR: of ")
    assert [case["verdict"] for case in found(pytester)["cases"]][-1] == "error"


def test_no_agreement_over_a_worker_that_died(pytester, run):
    pytester.makepyfile(CRASHING)
    run("--parity-report", "found", "-n", "1", "--max-worker-restart", "0")
    assert found(pytester)["verdict"] == "ERROR: of 2 recordings, 1 could not be run"
    assert {case["verdict"] for case in found(pytester)["cases"]} == {"agrees", "error"}


def test_a_stale_report_is_removed(pytester, run):
    pytester.makepyfile(SUITE)
    (pytester.path / "found").mkdir()
    for name in pytest_plugin.REPORTS:
        (pytester.path / "found" / name).write_text("AGREEMENT")
    (pytester.path / "found" / "mine.txt").touch()
    result = run("--parity-report", "found", "-k", "nothing")
    result.stdout.fnmatch_lines(["parity: nothing was compared, so no report"])
    assert [path.name for path in (pytester.path / "found").iterdir()] == ["mine.txt"]


def test_the_reports_are_those_that_are_written(tmp_path):
    from parity.report.files import write_report

    write_report(samples.agreeing(1), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(pytest_plugin.REPORTS)


def test_a_folder_that_cannot_be_written_to_is_told_at_the_start(pytester, run):
    pytester.makepyfile(SUITE)
    (pytester.path / "file").touch()
    result = run("--parity-report", "file/found")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--parity-report file/found: Not a directory*"])


def test_references_of_the_tests_own(pytester, run, monkeypatch):
    pytester.makepyfile(test_own=OWN)
    missing = run()
    missing.assert_outcomes(failed=3)
    missing.stdout.fnmatch_lines(["*there is no reference *test_own/test_port-c.safetensors*--parity-update*"])
    written = run("--parity-update", "-n", "1")
    written.assert_outcomes(passed=3)
    names = sorted(path.name for path in (pytester.path / "references" / "test_own").iterdir())
    assert names[:2] == ["TestTwice.test_it-2.safetensors", "TestTwice.test_it.safetensors"]
    assert re.fullmatch(r"test_port-a-b-[0-9a-f]{8}.safetensors", names[2])
    assert names[3:] == ["test_port-c.safetensors"]
    run().assert_outcomes(passed=3)
    monkeypatch.setenv("SCALE", "2")
    changed = run()
    changed.assert_outcomes(failed=3)
    changed.stdout.fnmatch_lines(["*param/0.weight*"])


def test_other_inputs_than_those_recorded_are_not_passed_over(pytester, run):
    pytester.makepyfile(test_own=OWN)
    run("--parity-update").assert_outcomes(passed=3)
    pytester.makepyfile(test_own=OWN.replace("torch.ones(4", "torch.zeros(4"))
    result = run()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*the test's inputs are not those of *--parity-update*"])


def test_a_project_with_a_parity_of_its_own(pytester, start):
    """Its own module is what its tests import, whether or not they use sharnn; the fixture says what is in its way."""
    for name in ("parity", "export"):
        (pytester.path / name).mkdir()
        (pytester.path / name / "__init__.py").write_text(f"mine = {name!r}\n")
    pytester.makepyfile(
        "import export\nimport parity\n\ndef test_mine():\n    assert parity.mine + export.mine == 'parityexport'\n"
    )
    start("--parity-report", "found").assert_outcomes(passed=1)
    pytester.makepyfile(test_other="def test_it(assert_parity):\n    pass\n")
    result = start()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*the fixture assert_parity needs the package `parity` of sharnn, in *, but here `import parity` finds *"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_entry_point_is_of_a_module_with_a_name_that_nobody_else_has():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"sharnn_py.pytest_plugin": "sharnn_py.pytest_plugin"}


def test_the_plugin_costs_other_suites_nothing_heavy_and_takes_no_name():
    code = "import sharnn_py.pytest_plugin, sys; print(sorted({'torch', 'parity', 'export'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_summary_for_github(pytester, run, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    pytester.makepyfile(SUITE)
    run()
    assert "DIVERGENCE: of 2 recordings, 1 diverges" in (pytester.path / "summary.md").read_text()


def test_junit_has_a_suite_for_each_call(pytester, run):
    pytester.makepyfile(SUITE)
    run("--parity-report", "found")
    suites = ElementTree.parse(pytester.path / "found" / "junit.xml").getroot()
    assert sorted(suite.get("name").split("::")[1].partition(":")[0] for suite in suites) == ["test_other", "test_same"]
