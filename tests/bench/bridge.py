"""What the bridge to Julia costs: `python -m tests.bench.bridge`. Prints medians beside their bounds; status 1 if over.

A call's overhead is the time of calling a Julia function that returns its argument: bounded by 100 us plus 0.2 ms for
each MB (10^6 bytes) that is moved, in either direction. A start is bounded by 5 s once PythonCall is compiled.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from julia_bridge import Worker, ensure

CALL_BOUND = 100e-6
MEGABYTE_BOUND = 0.2e-3
START_BOUND = 5.0


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """The median time of `repeats` runs, after some that are not counted."""
    for _ in range(10):
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def start_seconds() -> float:
    """From making a worker to the answer of its first call."""
    start = time.perf_counter()
    with Worker() as julia:
        julia.call("+", 1, 1)
    return time.perf_counter() - start


def main() -> int:
    """Measure, print, and return the exit status."""
    ensure(print)
    rows = [("warm start", statistics.median(start_seconds() for _ in range(3)), START_BOUND)]
    with Worker() as julia, tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "echo.jl"
        source.write_text("echo(x) = x\nswallow(x) = nothing\n")
        julia.include(source)
        rows.append(("call with one integer", median_seconds(lambda: julia.call("echo", 1), 1000), CALL_BOUND))
        for megabytes in (1, 4, 16):
            x = np.ones(megabytes * 250_000, np.float32)
            repeats = 400 // megabytes
            there = median_seconds(lambda x=x: julia.call("swallow", x), repeats)  # type: ignore[misc]
            both = median_seconds(lambda x=x: julia.call("echo", x), repeats)  # type: ignore[misc]
            rows.append((f"{megabytes} MB in", there, CALL_BOUND + megabytes * MEGABYTE_BOUND))
            rows.append((f"{megabytes} MB in and out", both, CALL_BOUND + 2 * megabytes * MEGABYTE_BOUND))
    print(f"{'median of':25s}{'measured':>12s}{'bound':>12s}")
    for name, seconds, bound in rows:
        print(f"{name:25s}{seconds * 1e3:9.3f} ms{bound * 1e3:9.3f} ms{'' if seconds <= bound else '  OVER'}")
    return int(any(seconds > bound for _, seconds, bound in rows))


if __name__ == "__main__":
    sys.exit(main())
