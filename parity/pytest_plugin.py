"""For other projects' suites: the fixture `assert_parity`, and reports of what it found.

    def test_port(assert_parity):
        assert_parity(MyModule(), parity.open(path))

With `--parity-report FOLDER` pytest writes one report of every comparison of the session there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from parity.recording.recording import Recording
    from parity.results import CaseResult

RESULTS: pytest.StashKey[list[CaseResult]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--parity-report`."""
    parser.getgroup("parity").addoption(
        "--parity-report", type=Path, metavar="FOLDER", help="Write a report of every assert_parity to this folder."
    )


@pytest.fixture
def assert_parity(request: pytest.FixtureRequest) -> Callable[..., CaseResult]:
    """`parity.assert_parity`, whose results `--parity-report` writes, each under the name of its test."""
    from dataclasses import replace

    from parity.module.check import check
    from parity.report.terminal import text

    def checked(module: Any, reference: Recording, **options: Any) -> CaseResult:
        __tracebackhide__ = True
        result = replace(check(module, reference, **options), name=f"{request.node.nodeid}: {reference.name}")
        request.config.stash.setdefault(RESULTS, []).append(result)
        if not result:
            pytest.fail(text(result), pytrace=False)
        return result

    return checked


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Write the report that was asked for."""
    yield
    folder, results = session.config.getoption("--parity-report"), session.config.stash.get(RESULTS, [])
    if folder is None or not results:
        return
    from parity.report.files import write_report
    from parity.results import of_cases
    from parity.sharnn.environment import environment

    write_report(of_cases(results, environment()), folder)
