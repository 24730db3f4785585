"""The explanation on the terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from parity.sharnn.attribution.results import AS_RUN, Case, Change, End, Explanation

WIDTH_WITHOUT_TERMINAL = 120


def show(explanation: Explanation) -> None:
    """Print a table for each case, what the ledger does not explain, and the verdict."""
    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    console = Console(width=width, highlight=False)
    for case in explanation.cases:
        _show_case(console, case)
    for name, reason in explanation.skipped.items():
        console.print(f"{escape(name)} left out: {escape(reason)}")
    console.print(escape(_verdict(explanation)), style="bold green" if explanation else "bold red")


def _show_case(console: Console, case: Case) -> None:
    console.print(f"[bold]{escape(case.name)}[/]")
    for end in case.ends:
        held = f", the port at {end.ratio:.2f} of what rounding explains" if end.ratio else ""
        console.print(f"  {end.program} is {escape(end.what)}{held}")
    if case.contributions:
        console.print("  " + _scale(case))
        console.print(_table(case))
    for note in case.notes:
        console.print("  " + escape(note))
    for end in case.ends:
        if not end:
            console.print(escape(_not_the_program(case, end)), style="red")
    for problem in case.problems:
        console.print(escape(problem), style="red")
    console.print()


def _scale(case: Case) -> str:
    loss = f"loss {case.loss[0]:.4f} under julia, {case.loss[1]:.4f} under paper (nats)"
    unit = "" if case.rounding is None else f", one unit of rounding {case.rounding:.2g}"
    return f"{loss}; logits under julia: rms {case.rms:.3g}{unit}"


def _table(case: Case) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("row", justify="right")
    table.add_column("switch", no_wrap=True)
    units = ["roundings"] if case.rounding else []
    for name in ("alone: max", "rms", *units, "loss", "added: max", "rms", *units, "loss", "left: max"):
        table.add_column(name, justify="right", no_wrap=True)
    for found in case.contributions:
        row = "" if found.row is None else str(found.row)
        numbers = (*_change(found.alone, case), *_change(found.added, case), f"{found.left.largest:.3g}")
        table.add_row(row, escape(found.switch), *numbers)
    total = _change(case.total, case)
    table.add_row("", "all of them", *("" for _ in total), *total, style="bold")
    return table


def _change(change: Change, case: Case) -> list[str]:
    units = [change.largest / case.rounding] if case.rounding else []
    numbers = [f"{change.largest:.3g}", f"{change.rms:.3g}", *(f"{u:.2g}" for u in units), f"{change.loss:+.2g}"]
    return ["-" for _ in numbers] if change.is_zero else numbers


def _not_the_program(case: Case, end: End) -> str:
    words = f"the port under {end.program} does not compute what {end.what} has: {end.where}; no row explains that"
    return words if case.name == AS_RUN else f"{words}. `sharnn parity run --case {case.name}` finds the first layer"


def _verdict(explanation: Explanation) -> str:
    count = len(explanation.cases)
    if explanation:
        words = f"EXPLAINED: in all {count} cases the ledger's rows account for the whole difference"
    else:
        failed = ", ".join(case.name for case in explanation.cases if not case)
        words = f"UNEXPLAINED: the ledger does not account for the whole difference in {failed}"
    return f"{words} (version {explanation.ledger} of the ledger, {explanation.seconds:.0f} s)"
