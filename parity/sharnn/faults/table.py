"""The table of mutants: on the terminal, in the docs, as JSON."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rich.markup import escape
from rich.table import Table

from parity.report.console import console
from parity.sharnn.faults.fault import Mutant
from parity.sharnn.faults.results import LEAST_DIAGNOSED, Faultless, MutantsResult, Outcome
from parity.tolerance import MULTIPLE

COLUMNS = ("mutant", "place", "what is wrong", "recording", "first wrong tensor", "caught", "localised", "diagnosed")


def show(result: MutantsResult) -> None:
    """Print every mutant, the totals, and what the faultless cases came to."""
    out = console()
    table = Table(box=None, pad_edge=False)
    for name in ("mutant", "place", "first wrong tensor"):
        table.add_column(name, overflow="fold")
    for name in ("caught", "localised"):
        table.add_column(name, no_wrap=True)
    table.add_column("diagnosed", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    for o in result.outcomes:
        found = escape(o.first or o.problem or "none")
        expected = "" if o.localised else f" [red](not {escape(o.mutant.first)})[/]"
        diagnosed = escape(o.reason) or f"[yellow]{_undiagnosed(o)}[/]"
        marks = [f"[{'green' if yes else 'red'}]{_yes(yes)}[/]" for yes in (o.caught, o.localised)]
        table.add_row(o.mutant.name, o.mutant.place, found + expected, *marks, diagnosed, f"{o.seconds:.1f}")
    out.print(table)
    out.print()
    for line in totals(result):
        out.print(escape(line), soft_wrap=True)
    for case in result.cases:
        if not case:
            out.print(f"[red]false alarm, seed {case.seed}:[/] {escape(_alarm(case))}", soft_wrap=True)
    out.print()
    out.print(verdict(result), style="bold green" if result else "bold red")


def progress_line(found: Outcome | Faultless) -> str:
    """One result as it comes, in a line."""
    if isinstance(found, Faultless):
        return f"faultless case {found.seed}: {'no alarm' if found else 'ALARM'} ({found.seconds:.1f} s)"
    return f"{found.mutant.name}: {found.first or 'NOT CAUGHT'} ({found.seconds:.1f} s)"


def totals(result: MutantsResult) -> list[str]:
    """The sums, in words."""
    of = len(result.outcomes)
    lines = [f"{of} mutants: {result.caught} caught, {result.localised} localised, {result.diagnosed} diagnosed"]
    if result.cases:
        comparisons = sum(case.comparisons for case in result.cases)
        worst = max(result.cases, key=lambda case: case.units)
        lines.append(
            f"{len(result.cases)} faultless cases ({comparisons:,} comparisons): {result.alarms} raised an alarm; the "
            f"worst error is {worst.units:.1f} units of rounding, of {MULTIPLE:.0f} allowed (seed {worst.seed}, "
            f"{worst.worst})"
        )
    return lines


def verdict(result: MutantsResult) -> str:
    """The last line."""
    if result:
        quiet = ", no faultless case raises an alarm" if result.cases else ""
        return f"PROVED: every mutant is caught and localised{quiet} ({result.seconds:.0f} s)"
    faults = []
    of = len(result.outcomes)
    if result.caught < of:
        faults.append(f"{of - result.caught} of {of} mutants not caught")
    if result.localised < result.caught:
        faults.append(f"{result.caught - result.localised} of {of} caught at another tensor")
    if result.diagnosed < LEAST_DIAGNOSED * of:
        faults.append(f"{result.diagnosed} of {of} diagnosed, fewer than {LEAST_DIAGNOSED:.0%}")
    if result.alarms:
        faults.append(f"an alarm in {result.alarms} of {len(result.cases)} faultless cases")
    return "NOT PROVED: " + "; ".join(faults)


def to_markdown(result: MutantsResult) -> str:
    """The table of the docs, and the totals."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_row(o) for o in result.outcomes)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*table, "", *(f"{line}." for line in totals(result))]) + "\n"


def _row(o: Outcome) -> tuple[str, ...]:
    m = o.mutant
    diagnosed = o.reason or _undiagnosed(o)
    return (m.name, m.place, m.description, m.recording, f"`{m.first}`", _yes(o.caught), _yes(o.localised), diagnosed)


def to_json(result: MutantsResult) -> dict[str, Any]:
    """Everything, as JSON can hold it: an infinite number becomes a string."""
    return {
        "proved": bool(result),
        "exit_code": result.exit_code,
        "verdict": verdict(result),
        "seconds": result.seconds,
        "mutants": [_outcome(o) for o in result.outcomes],
        "faultless": [{**dataclasses.asdict(case), "units": _number(case.units)} for case in result.cases],
    }


def _outcome(o: Outcome) -> dict[str, Any]:
    return {
        **_mutant(o.mutant),
        "found": o.first,
        "caught": o.caught,
        "localised": o.localised,
        "diagnosed": o.diagnosed,
        "reason": o.reason,
        "says": list(o.description),
        "units": _number(o.units),
        "wrong": o.wrong,
        "inherited": o.inherited,
        "seconds": o.seconds,
        "problem": o.problem,
    }


def _mutant(m: Mutant) -> dict[str, Any]:
    return {
        "name": m.name,
        "place": m.place,
        "what": m.description,
        "recording": m.recording,
        "expected": m.first,
        "change": dataclasses.asdict(m.change),
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def _undiagnosed(o: Outcome) -> str:
    return "not expected" if o.mutant.diagnosis is None else "no"


def _alarm(case: Faultless) -> str:
    return f"{case.model}; computed in another way: {case.way or 'nothing'}; {', '.join(case.alarms[:5])}"
