"""For all tests: one thread, best for small tensors; a seed; no waiting for the disk; which tests share a process; and
Julia and Chromium on demand.

Where one of these cannot be had, the tests that need it fail in CI, and elsewhere are skipped with the reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import pytest

from julia_bridge import JuliaInstallation, JuliaUnavailable, Worker, ensure
from sharnn_py.errors import SharnnError
from tests.debian import chromium

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

os.environ["OMP_NUM_THREADS"] = "1"  # of torch, which is not imported yet, and of every program that a test runs


def unavailable(what: str, reason: SharnnError) -> NoReturn:
    """End a test that needs `what`, which cannot be had: as failed in CI, as skipped elsewhere."""
    message = f"{what} was not available: {reason}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


NEEDED = {"installation": "julia", "browser": "browser"}
"""Fixtures, each with the marker of the tests that ask for it, if only by another."""
SHARED = ("worker", "browser", "environment")
"""Fixtures of what is made once, for all tests that ask for it: a process, or Triton's environment."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs Julia or Chromium, and tell pytest-xdist what to keep in one worker.

    That is all tests of one shared program, and those of a file that share something made once for that file; any
    other test goes to whichever worker is free, and one that runs a Julia of its own does not wait for the shared one.
    """
    for item in items:
        fixtures = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
        for fixture, marker in NEEDED.items():
            if fixture in fixtures:
                item.add_marker(marker)
        shared = [fixture for fixture in SHARED if fixture in fixtures]
        if shared:
            item.add_marker(pytest.mark.xdist_group(shared[0]))
        elif any(found[-1].scope in ("module", "class", "package") for found in fixtures.values()):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session", autouse=True)
def nothing_forced_to_the_disk() -> Iterator[None]:
    """A test's files need not outlive the machine, and a third of an export's time is waiting for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws from torch's own generator does not depend on which tests ran before it in this process."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(1911)  # not 0, which references are drawn from: what is drawn beside them is another


@pytest.fixture(scope="session")
def installation() -> JuliaInstallation:
    try:
        return ensure(print)
    except JuliaUnavailable as reason:
        unavailable("live Julia", reason)


@pytest.fixture(scope="session")
def worker(installation: JuliaInstallation) -> Iterator[Worker]:
    """One Julia for all tests that leave it as it was."""
    with Worker(timeout=300) as worker:
        yield worker


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """The driver of one Chromium for all tests that look at a page."""
    try:
        driver = chromium.start(tmp_path_factory.mktemp("chromium"))
    except JuliaUnavailable as reason:
        unavailable("Chromium", reason)
    yield driver
    driver.quit()
