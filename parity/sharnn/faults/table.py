"""The results of planting faults: on the terminal, as Markdown, as JSON."""

import dataclasses
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from parity.report.encode import attributes, encode
from parity.report.words import counted
from parity.sharnn.faults.markdown import markdown
from parity.sharnn.faults.results import LEAST_DIAGNOSED, Control, FaultsResult, Outcome
from parity.tolerance import MULTIPLE
from sharnn_py.console import console

COLUMNS = ("fault", "place", "what is wrong", "recording", "first wrong tensor", "caught", "localised", "diagnosed")


def show(result: FaultsResult) -> None:
    """Print every fault, the totals, and what the controls came to."""
    out = console()
    table = Table(box=None, pad_edge=False)
    for name in ("fault", "place", "first wrong tensor"):
        table.add_column(name, overflow="fold")
    for name in ("caught", "localised"):
        table.add_column(name, no_wrap=True)
    table.add_column("diagnosed", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    for o in result.outcomes:
        found = escape(o.first or o.problem or "none")
        expected = "" if o.localised else f" [red](not {escape(o.fault.first)})[/]"
        diagnosed = escape(o.reason) or f"[yellow]{_undiagnosed(o)}[/]"
        marks = [f"[{'green' if yes else 'red'}]{_yes(yes)}[/]" for yes in (o.caught, o.localised)]
        table.add_row(o.fault.name, o.fault.place, found + expected, *marks, diagnosed, f"{o.seconds:.1f}")
    out.print(table)
    out.print()
    for line in totals(result):
        out.print(escape(line), soft_wrap=True)
    for case in result.cases:
        if not case:
            out.print(f"[red]false alarm, seed {case.seed}:[/] {escape(_alarm(case))}", soft_wrap=True)
    out.print()
    out.print(verdict(result), style="bold green" if result else "bold red")


def progress_line(found: Outcome | Control) -> str:
    """One result in a line, to print as soon as it is there."""
    if isinstance(found, Control):
        return f"control {found.seed}: {'no alarm' if found else 'ALARM'} ({found.seconds:.1f} s)"
    return f"{found.fault.name}: {found.first or 'NOT CAUGHT'} ({found.seconds:.1f} s)"


def totals(result: FaultsResult) -> list[str]:
    """The sums, in words."""
    of = len(result.outcomes)
    lines = [
        f"{counted(of, 'fault')}: {result.caught} caught, {result.localised} localised, {result.diagnosed} diagnosed"
    ]
    if result.cases:
        comparisons = sum(case.comparisons for case in result.cases)
        worst = max(result.cases, key=lambda case: case.units)
        lines.append(
            f"{counted(len(result.cases), 'control')} ({counted(comparisons, 'comparison')}): {result.alarms} raised "
            f"an alarm; the worst error is {worst.units:.1f} units of rounding, of {MULTIPLE:.0f} allowed "
            f"(seed {worst.seed}, {worst.worst})"
        )
    return lines


def verdict(result: FaultsResult) -> str:
    """The last line."""
    if result:
        quiet = ", no control raises an alarm" if result.cases else ""
        return f"PROVED: every fault is caught and localised{quiet} ({result.seconds:.0f} s)"
    faults = []
    of = len(result.outcomes)
    if result.caught < of:
        faults.append(f"{of - result.caught} of {of} faults not caught")
    if result.localised < result.caught:
        faults.append(f"{result.caught - result.localised} of {of} caught at another tensor")
    if result.diagnosed < LEAST_DIAGNOSED * of:
        faults.append(f"{result.diagnosed} of {of} diagnosed, fewer than {LEAST_DIAGNOSED:.0%}")
    if result.alarms:
        faults.append(f"an alarm in {result.alarms} of {len(result.cases)} controls")
    return "NOT PROVED: " + "; ".join(faults)


def to_markdown(result: FaultsResult) -> str:
    """All faults as a table in Markdown, and the totals."""
    return "\n".join([markdown(COLUMNS, map(_row, result.outcomes)), *(f"{line}." for line in totals(result))]) + "\n"


def _row(o: Outcome) -> tuple[str, ...]:
    fault, diagnosed = o.fault, o.reason or _undiagnosed(o)
    found = (_yes(o.caught), _yes(o.localised), diagnosed)
    return (fault.name, fault.place, fault.what, fault.recording, f"`{fault.first}`", *found)


def to_json(result: FaultsResult) -> dict[str, Any]:
    """The whole result, encoded by `encode`."""
    return {
        "proved": bool(result),
        "exit_code": result.exit_code,
        "verdict": verdict(result),
        "seconds": result.seconds,
        "mutants": [_outcome(o) for o in result.outcomes],
        "faultless": [{**dataclasses.asdict(case), "units": encode(case.units)} for case in result.cases],
    }


def _outcome(o: Outcome) -> dict[str, Any]:
    return {
        **attributes(o.fault, "name", "place", "what", "recording"),
        "expected": o.fault.first,
        "change": msgspec.structs.asdict(o.fault.change),
        "found": o.first,
        **attributes(o, "caught", "localised", "diagnosed", "reason"),
        "says": list(o.description),
        "units": encode(o.units),
        **attributes(o, "wrong", "inherited", "seconds", "problem"),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def _undiagnosed(o: Outcome) -> str:
    return "not expected" if o.fault.hint is None else "no"


def _alarm(case: Control) -> str:
    return f"{case.model}; computed in another way: {case.way or 'nothing'}; {', '.join(case.alarms[:5])}"
