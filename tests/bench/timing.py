"""Comparing the speed of functions on a noisy machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = 31


def medians(
    functions: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Median seconds of each function, run in turn `rounds` times after two rounds of warm-up.

    `clock` is process time, which other programs on the machine do not lengthen; for what an accelerator computes it
    is no measure.
    """
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 2):
        for name, function in functions.items():
            start = clock()
            function()
            if turn >= 2:
                taken[name].append(clock() - start)
    return {name: statistics.median(times) for name, times in taken.items()}
