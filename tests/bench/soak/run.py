"""A soak: clients with faults of their own, a server that is killed, drained and started again, and what came of it."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import httpx
import numpy as np

from export import Session
from tests.bench.soak.client import PROMPT, Client
from tests.bench.soak.counts import Counts
from tests.bench.soak.served import Served

CLIENTS, SLOTS, QUEUE = 4, 4, 8
SAMPLES = 100
"""How often memory is read."""
SETTLED = 0.6
"""The server is ended and started again in the first half of the time. Of the second half, its last life, memory is
held against its bound from here on; before, caches fill."""


@dataclass(frozen=True)
class Sample:
    """How large the server was at a moment."""

    part: float
    """Of the time that the soak takes, from 0 to 1."""
    life: int
    requests: int
    memory: int
    """Resident bytes."""
    files: int
    """Open files, without connections."""


@dataclass
class Result:
    """What came of a soak."""

    seconds: float
    counts: Counts
    samples: list[Sample] = field(default_factory=list)

    @property
    def settled(self) -> list[Sample]:
        """The samples that memory is judged by."""
        return [sample for sample in self.samples if sample.part >= SETTLED]

    def growth(self, what: Literal["memory", "files"]) -> float:
        """By how much the server grew from the first third of those samples to the last, by their medians."""
        third = max(len(self.settled) // 3, 1)
        first, last = ([getattr(s, what) for s in part] for part in (self.settled[:third], self.settled[-third:]))
        return float(np.median(last) - np.median(first))

    @property
    def slope(self) -> float:
        """Bytes for each thousand requests, by a straight line through those samples."""
        requests = [sample.requests / 1000 for sample in self.settled]
        if len(set(requests)) < 2:
            return 0.0
        return float(np.polyfit(requests, [sample.memory for sample in self.settled], 1)[0])


def soak(export: Path, folder: Path, seconds: float, seed: int, restarts: int) -> Result:
    """Serve `export` for so long, with snapshots and the log in `folder`; the server is ended `restarts` times, killed
    and drained in turn. The seconds that it takes to start again come on top."""
    counts, draw = Counts(), random.Random(seed)
    served = Served(export, folder / "state", folder / "log", SLOTS, QUEUE, PROMPT)
    session = Session.load(export, threads=1)
    served.start()
    result, stop = Result(seconds, counts), threading.Event()
    ends = [(k + draw.random()) / restarts / 2 for k in range(restarts)]
    threads = [_started(Client(served, session, counts, f"{seed} {k}"), counts, stop) for k in range(CLIENTS)]
    try:
        for k, (begin, end) in enumerate(pairwise([0.0, *ends, 1.0])):
            _sample(begin, end, served, result)
            if k < restarts:
                _end(served, counts, "kill" if k % 2 == 0 else "drain")
                served.start()
        stop.set()
        for thread in threads:
            thread.join(300)
            if thread.is_alive():
                counts.wrong("wrong", "a client never came to its end")
        _check_left(served, counts)
    finally:
        stop.set()
        served.kill()
    if "Traceback" in served.said():
        counts.wrong("wrong", f"the server's log has a traceback: {served.said()[-3000:]}")
    return result


def _started(client: Client, counts: Counts, stop: threading.Event) -> threading.Thread:
    def run() -> None:
        try:
            client.run(stop)
        except Exception as error:
            counts.wrong("wrong", f"a client broke: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _end(served: Served, counts: Counts, how: str) -> None:
    if how == "kill":
        served.kill()
        counts.count("kill -9")
    else:
        if said := served.drain():
            counts.wrong("wrong", said)
        counts.count("SIGTERM")


def _sample(begin: float, end: float, served: Served, result: Result) -> None:
    """Look at the server from one part of the time to another."""
    began = time.monotonic()
    while (part := begin + (time.monotonic() - began) / result.seconds) < end:
        memory, files = served.memory(), served.open_files()
        result.samples.append(Sample(part, served.life, result.counts.asked, memory, files))
        time.sleep(min(1 / SAMPLES, end - part) * result.seconds)


def _check_left(served: Served, counts: Counts) -> None:
    """When all clients have closed what they had, nothing of theirs is left."""
    deadline = time.monotonic() + 20
    while True:
        told = httpx.get(f"{served.url}/v1/status", timeout=30).json()
        left = {name: told[name] for name in ("active", "waiting", "sequences")}
        left["connections"] = served.connections()
        if not any(number > 0 for number in left.values()):
            return
        if time.monotonic() > deadline:
            counts.wrong("lost", f"when all clients had ended, the server still had {left}")
            return
        time.sleep(0.1)
