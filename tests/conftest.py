"""For all tests: one thread, as small tensors want it; which of them share a process; and Julia, provisioned on demand.

Where Julia cannot be had these tests fail in CI, and elsewhere are skipped with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest
import torch

from julia_bridge import JuliaUnavailable, Lane, Worker, ensure

torch.set_num_threads(1)


def unavailable(reason: JuliaUnavailable) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"live Julia was not available: {reason}")
    pytest.skip(f"live Julia was not available: {reason}")


SHARED = {"julia": {"lane", "worker"}, "browser": {"chromium"}}
"""Markers, each with the fixtures that start what it stands for: one process for all tests that ask for them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs Julia or Chromium, and tell pytest-xdist what to keep in one worker.

    That is all tests of one shared program, and those of a file that share something made once for that file; any
    other test goes to whichever worker is free.
    """
    for item in items:
        fixtures = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
        markers = [marker for marker, names in SHARED.items() if names & fixtures.keys()]
        for marker in markers:
            item.add_marker(marker)
        if markers:
            item.add_marker(pytest.mark.xdist_group(markers[0]))
        elif any(found[-1].scope in ("module", "class", "package") for found in fixtures.values()):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def lane() -> Lane:
    try:
        return ensure(print)
    except JuliaUnavailable as reason:
        unavailable(reason)


@pytest.fixture(scope="session")
def worker(lane: Lane) -> Iterator[Worker]:
    """One Julia for all tests that leave it as it was."""
    with Worker(timeout=300) as worker:
        yield worker
