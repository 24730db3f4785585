"""Julia for the tests: the first that needs it provisions it. Without it they fail in CI and elsewhere say why not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from julia_bridge import JuliaUnavailable, Lane, Worker, ensure


def unavailable(reason: JuliaUnavailable) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"live Julia was not available: {reason}")
    pytest.skip(f"live Julia was not available: {reason}")


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
