"""`python -m tests.laws [NAME...]`: plant the faults that break a law, or these, and print which law finds each, and
after how many cases."""

from __future__ import annotations

import functools
import sys

import pytest
from rich.console import Console
from rich.table import Table

from export.serving import ring, seats
from julia_bridge import JuliaUnavailable, Worker, ensure
from parity.sharnn.faults import FAULTS
from parity.sharnn.faults.plant import planted
from tests.laws.kill import kill
from tests.laws.targets import SHORT_PATIENCE, SMALL_RINGS


def main(names: list[str]) -> int:
    console, table = Console(width=200), Table("fault", "in", "found by", "cases", "smallest case says", box=None)
    chosen = [(fault, where) for fault in FAULTS if fault.name in names or not names for where in fault.laws]
    lived = 0

    @functools.cache
    def worker() -> Worker:
        ensure(print)
        return Worker(timeout=300)

    for fault, where in chosen:
        with pytest.MonkeyPatch.context() as patch, planted(fault.change):
            patch.setattr(ring, "BUCKETS", SMALL_RINGS)
            patch.setattr(seats, "PATIENCE", SHORT_PATIENCE)
            try:
                found = kill(where, worker)
            except JuliaUnavailable as reason:
                table.add_row(fault.name, where, f"not tried: {reason}", "", "")
                continue
        print(f"{fault.name}: {'NOT FOUND' if found is None else found.law}", file=sys.stderr, flush=True)
        if found is None:
            lived += 1
            table.add_row(fault.name, where, "NOTHING", "", "")
        else:
            table.add_row(fault.name, where, found.law, str(found.cases), found.message)
        if names and found is not None:
            print(found.case)
    console.print(table)
    print(f"{len(chosen) - lived} of {len(chosen)} found")
    return 1 if lived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
