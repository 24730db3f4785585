"""How fast many sequences are on one engine: `python -m tests.bench.engine [small|paper]`, by default both sizes.

At 1, 8 and 32 sequences the engine, a lone session in a loop and the PyTorch model and a session in lock-step run in
turn in one process, on one thread. Times are process time; latencies are of a token of each sequence that is due, and
a lone session in a loop serves its sequences one after another.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from export import Engine, Scheduler
from sharnn_py import SHARNN
from tests.bench import contenders
from tests.bench.contenders import SIZES, Step, agree, random_state
from tests.bench.exports import exported

ROWS = 600
"""Of every sequence's memory."""
MANY = {1: 0.9, 8: 4.0, 32: 6.5}
"""Sequences, and how many times a lone session's tokens a second are asked for at paper size."""
LOCK_STEP = 0.9
"""Of the tokens a second of a session in lock-step, the least that is asked."""
STEPS = {"small": 200, "paper": 50}
STALLED = 3.0
"""Times as long as without, the most that a step may take in the 99th percentile while a long prompt is fed."""


@dataclass(frozen=True)
class Row:
    """How one way of serving so many sequences went: tokens a second, milliseconds for a token of each of them."""

    way: str
    sequences: int
    milliseconds: tuple[float, ...]

    @property
    def tokens_a_second(self) -> float:
        return 1e3 * self.sequences / float(np.median(self.milliseconds))


def main(arguments: list[str]) -> int:
    torch.set_num_threads(1)
    good = True
    for size in [name for name in SIZES if name in arguments] or SIZES:
        folder, model = exported(size), SHARNN(SIZES[size], torch.Generator().manual_seed(0)).eval()
        table = Table(f"{size} size", "sequences", "tokens/s", "p50 ms", "p99 ms", "asked", "", box=None)
        for row, asked, within in judged(measure(folder, model, size), size):
            p50, p99 = np.percentile(row.milliseconds, (50, 99))
            speed = f"{row.tokens_a_second:.0f}"
            table.add_row(row.way, f"{row.sequences}", speed, f"{p50:.2f}", f"{p99:.2f}", asked, within)
            good = good and within != "NO"
        Console(width=140).print(table)
        ratio = stalled(folder, model)
        print(f"p99 of 8 sequences' steps while a prompt of 4,096 ids is fed: {ratio:.2f} times", flush=True)
        good = good and ratio <= STALLED
    return 0 if good else 1


def judged(rows: Iterator[Row], size: str) -> Iterator[tuple[Row, str, str]]:
    """Each row with what is asked of it, in words, and whether that holds: "yes", "NO" or nothing."""
    speed: dict[tuple[str, int], float] = {}
    for row in rows:
        speed[row.way, row.sequences] = row.tokens_a_second
        if row.way != "engine":
            yield row, "", ""
            continue
        n = row.sequences
        lone, together = (row.tokens_a_second / speed[way, n] for way in ("lone session", "lock-step"))
        least = MANY[n] if size == "paper" else 0.8
        asked = f"{lone:.2f} of lone ({least:g}), {together:.2f} of lock-step ({LOCK_STEP:g})"
        yield row, asked, "yes" if lone >= least and together >= LOCK_STEP else "NO"


def measure(folder: Path, model: SHARNN, size: str) -> Iterator[Row]:
    """Every way of serving, at every number of sequences; the engine last."""
    engine = Engine.load(folder, slots=max(MANY), threads=1)
    lone = contenders.exported(folder, random_state(model, 1, ROWS))
    for n in MANY:
        layers = random_state(model, n, ROWS)
        numbers = [engine.open() for _ in range(n)]
        for b, number in enumerate(numbers):
            one = [(h[b : b + 1], c[b : b + 1], np.ascontiguousarray(memory[:, b : b + 1])) for h, c, memory in layers]
            engine.set_state(number, one)
        steps = {
            "PyTorch": contenders.eager(model, layers),
            "lock-step": contenders.exported(folder, layers),
            "engine": by_engine(engine, numbers),
        }
        agree(steps, model, n)
        taken = in_turn({"lone session": lone, **steps}, n, STEPS[size])
        for way, milliseconds in taken.items():
            yield Row(way, n, tuple(n * ms for ms in milliseconds) if way == "lone session" else milliseconds)
        for number in numbers:
            engine.close(number)


def by_engine(engine: Engine, numbers: list[int]) -> Step:
    def step(tokens: np.ndarray) -> np.ndarray:
        return np.stack(list(engine.step(dict(zip(numbers, tokens.tolist(), strict=True))).values()))

    return step


def in_turn(steps: dict[str, Step], n: int, times: int) -> dict[str, tuple[float, ...]]:
    """Milliseconds of each step, one of each after the other, after two that are not counted."""
    taken: dict[str, list[float]] = {way: [] for way in steps}
    for _ in range(times + 2):
        for way, step in steps.items():
            tokens = np.arange(1 if way == "lone session" else n, dtype=np.int64) + 3
            taken[way].append(timed(lambda step=step, tokens=tokens: step(tokens)))  # type: ignore[misc]
    return {way: tuple(found[2:]) for way, found in taken.items()}


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of process time."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def stalled(folder: Path, model: SHARNN) -> float:
    """The 99th percentile of the time between two tokens of 8 texts while a prompt of 4,096 ids is fed, by without."""
    scheduler = Scheduler(Engine.load(folder, slots=9, threads=1))
    engine, vocab = scheduler.engine, model.config.vocab
    numbers = [engine.open() for _ in range(9)]
    for number in numbers[:8]:
        scheduler.submit(number, np.arange(64) % vocab, 1_000_000)
    for _ in range(16):  # until all eight generate
        scheduler.advance()
    alone, beside = [timed(scheduler.advance) for _ in range(50)], []
    task = scheduler.submit(numbers[8], np.arange(4096) % vocab)
    while not task.ended:
        beside.append(timed(scheduler.advance))
    return float(np.percentile(beside, 99) / np.percentile(alone, 99))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
