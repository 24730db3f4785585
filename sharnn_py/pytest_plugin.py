"""For other projects' suites: the fixture `assert_parity`, and one report of what it found in all tests.

pytest loads this module in every project of an environment that has sharnn. It imports nothing of sharnn's other
packages until a test asks for the fixture, so that a project with a module `parity` or `export` of its own has that.
With pytest-xdist, what workers find is sent along with the report of each test, and gathered by the controller.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HOME = Path(__file__).parents[1]
"""Where sharnn's packages lie side by side."""
REPORTS = ("report.html", "report.json", "junit.xml")
"""What `--parity-report` writes into its folder."""
FOUND = "sharnn_parity"
"""The attribute of a test's report with what `assert_parity` found; texts and lists, as pytest-xdist can send them."""
CRASHED = "???"
"""When a test was reported that took its worker of pytest-xdist with it."""
SHADOWED = (
    "the fixture assert_parity needs the package `parity` of sharnn, in {ours}, but here `import parity` finds "
    "{theirs}; rename that module or move it into a package, or run these tests from a folder that does not have it "
    "on sys.path"
)
FINDINGS: pytest.StashKey[list[Any]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--parity-report` and `--parity-update`."""
    group = parser.getgroup("parity")
    group.addoption(
        "--parity-report", type=Path, metavar="FOLDER", help="Write a report of every assert_parity to this folder."
    )
    group.addoption(
        "--parity-update",
        action="store_true",
        help="Write the references of tests that name none, from the modules that the tests are given.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Gather what is found, unless this is a worker of pytest-xdist, which only sends it."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Gathered(config), "sharnn-gathered")


@pytest.fixture
def assert_parity(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`parity.assert_parity`, whose results `--parity-report` writes, each under the name of its test.

    Without a reference the test has one of its own, a file beside the test's that `--parity-update` writes; `inputs`
    is what it is recorded on: a tensor, a tuple of the tensors of one segment, or a list of segments.
    """
    check: Callable[..., Any] = _engine().checker(request, request.node.stash.setdefault(FINDINGS, []))
    return check


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the test has found into its report."""
    report = yield
    if "assert_parity" in getattr(item, "fixturenames", ()):
        findings = item.stash.get(FINDINGS, []) if report.when == "call" else []
        whole = item.config.getoption("--parity-report") is not None or bool(os.environ.get("GITHUB_STEP_SUMMARY"))
        setattr(report, FOUND, _engine().packed(findings, whole) if findings else [])
    return report


class Gathered:
    """What all tests have found, and the report of it."""

    def __init__(self, config: pytest.Config) -> None:
        self.folder: Path | None = config.getoption("--parity-report")
        self.only_collects = bool(config.getoption("collectonly"))
        self.found: list[dict[str, Any]] = []
        self.failed: dict[str, str] = {}
        """Tests, or files of them, that failed without a divergence to show for it, with the reason."""

    def pytest_sessionstart(self) -> None:
        """Remove the report of another session, and see that a new one can be written."""
        if self.folder is None or self.only_collects:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in REPORTS:
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise pytest.UsageError(f"--parity-report {self.folder}: {error.strerror}") from error

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a test found, here or in a worker."""
        found = getattr(report, FOUND, None)
        self.found += found or []
        diverges = any(one["test"] == report.nodeid and one["verdict"] == "diverges" for one in self.found)
        if report.failed and not diverges and (found is not None or report.when == CRASHED):
            self.failed[report.nodeid] = _reason(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Of a file that could not be read, nobody knows what it would have compared."""
        if report.failed:
            self.failed[report.nodeid] = _reason(report)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the report that was asked for."""
        if self.found and any("result" in one for one in self.found):
            _engine().write(self.found, self.failed, self.folder, exitstatus == pytest.ExitCode.INTERRUPTED)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Which layer is the first that is wrong, and why."""
        for one in self.found:
            if one["written"]:
                terminalreporter.write_line(f"parity: wrote {one['written']}")
        if self.found:
            off = [one for one in self.found if one["verdict"] != "agrees"]
            count = len(self.found)
            said = f"parity: {len(off)} of {count} {'case' if count == 1 else 'cases'} off" if off else (
                f"parity: {'the case agrees' if count == 1 else f'all {count} cases agree'}"
            )  # fmt: skip
            terminalreporter.write_line(said + (f"; {off[0]['name']}: {off[0]['sentence']}" if off else ""))
        for test, reason in self.failed.items() if self.found else ():
            terminalreporter.write_line(f"parity: {test} failed without a result: {reason}")
        if self.folder is not None and not self.only_collects:
            written = (self.folder / REPORTS[0]).exists()
            terminalreporter.write_line(
                f"parity: report {self.folder / REPORTS[0]}"
                if written
                else "parity: nothing was compared, so no report"
            )


def _engine() -> ModuleType:
    """`parity.pytest_plugin`, which does the work. Fails the test if another `parity` comes before sharnn's."""
    parity = importlib.import_module("parity")
    ours = HOME / "parity"
    if getattr(parity, "__file__", None) is None or Path(str(parity.__file__)).parent.resolve() != ours.resolve():
        theirs = getattr(parity, "__file__", None) or ", ".join(parity.__path__)
        pytest.fail(SHADOWED.format(ours=ours, theirs=theirs), pytrace=False)
    return sys.modules.get("parity.pytest_plugin") or importlib.import_module("parity.pytest_plugin")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", None) or report.longrepr or "").strip()
    return text.splitlines()[0] if text else "it failed"
