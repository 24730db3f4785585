"""For all tests: one thread, as small tensors want it; and Julia, which the first test that needs it provisions.

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
