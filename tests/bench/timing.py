"""Comparing the speed of functions on a noisy machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = 31


def medians(functions: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of process time of each function, run in turn `ROUNDS` times after two rounds of warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(ROUNDS + 2):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if turn >= 2:
                taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}
