"""`python -m tests.bench.soak [--minutes 10] [--seed 0] [small|paper]`: does a server lose, mix up or leak anything?

`sharnn serve` runs in a process of its own. Clients keep sequences, each beside a session alone that it must agree
with, leave in the middle of streams, read slowly, and send what is malformed, too large or too much; the server is
killed with -9 and drained with SIGTERM, and started again on its snapshots. The exit status is 1 if anything was lost
or wrong, or if memory or open files grew beyond their bounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.contenders import SIZES
from tests.bench.exports import exported
from tests.bench.soak.run import Result, soak

GROWTH = 16e6
"""Bytes that a server may grow by in its last life, once it has settled."""
FILES = 4
"""Files more that it may have open then."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak")
    parser.add_argument("size", nargs="?", choices=list(SIZES), default="small")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        restarts = 2 + 2 * int(given.minutes // 2)
        result = soak(exported(given.size), Path(folder), 60 * given.minutes, given.seed, restarts)
    return report(result, given.size)


def report(result: Result, size: str) -> int:
    console, counts = Console(width=110, soft_wrap=True), result.counts
    table = Table("what", "", box=None, pad_edge=False)
    table.add_row("size, minutes", f"{size}, {result.seconds / 60:g}")
    table.add_row("requests", f"{counts.asked:,}")
    table.add_row("tokens that were compared", f"{counts.drawn:,}")
    for kind, count in sorted(counts.kinds.items()):
        table.add_row(kind, f"{count:,}")
    table.add_row("lost", f"{len(counts.found['lost']):,}")
    table.add_row("wrong", f"{len(counts.found['wrong']):,}")
    console.print(table)
    tenths = Table("tenth", "life", "requests", "MB resident", "open files", box=None, pad_edge=False)
    for tenth in range(10):
        if at := [sample for sample in result.samples if sample.part >= tenth / 10][:1]:
            sample = at[0]
            memory = f"{sample.memory / 1e6:.1f}"
            tenths.add_row(f"{tenth + 1}", f"{sample.life}", f"{sample.requests:,}", memory, f"{sample.files}")
    console.print(tenths)
    grew = result.growth("memory") > GROWTH or result.growth("files") > FILES
    console.print(
        f"once settled it grew by {result.growth('memory') / 1e6:.1f} MB (at most {GROWTH / 1e6:g}), "
        f"{result.slope / 1e6:+.2f} MB for each thousand requests, and by {result.growth('files'):g} open files "
        f"(at most {FILES})"
    )
    for kind, sentences in counts.found.items():
        for sentence in sentences[:20]:
            console.print(f"{kind}: {sentence}", highlight=False, markup=False)
    return 1 if grew or any(counts.found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
