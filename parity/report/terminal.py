"""The report on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from parity.compare import Comparison
from parity.recording import Recording
from parity.report import words
from parity.results import CaseResult, SuiteResult
from parity.suite import Progress as OnResult

WIDTH_WITHOUT_TERMINAL = 120
SHOWN_DIVERGENCES = 15
SIZES = ("emb", "hidden", "vocab", "nlayers", "heads", "npos", "tie", "batch")
"""Of a recording's configuration, in the table of `show_recordings`."""
COLOURS = {"agrees": "green", "diverges": "red", "error": "yellow"}


def _console(stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)


@contextmanager
def progress() -> Iterator[OnResult]:
    """Show on stderr which case was finished last: a moving line on a terminal, else a line a case."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield lambda case: console.print(f"{escape(case.name)}: {case.verdict} ({case.seconds:.1f} s)")
        return
    columns = (TextColumn("{task.description}"), BarColumn(pulse_style="cyan"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda case: bar.update(task, description=f"finished {case.name}")


def show(result: SuiteResult) -> None:
    """Print the whole result."""
    console = _console()
    console.print(_cases(result))
    for line in words.summary(result):
        console.print(escape(line))
    for case in result.cases:
        if case.problem:
            console.print(f"\n[yellow]{escape(case.name)} could not be run:[/] {escape(case.problem)}")
        elif not case:
            _show_divergence(console, case)
    console.print()
    console.print(escape(words.verdict(result)), style="bold green" if result else "bold red")


def _cases(result: SuiteResult) -> Table:
    table = Table(title=None, box=None, pad_edge=False)
    for name in ("recording", "semantics"):
        table.add_column(name, no_wrap=True)
    for name in ("recorded", "compared", "left out", "worst / allowed"):
        table.add_column(name, justify="right")
    table.add_column("result")
    for case in result.cases:
        closest = case.closest
        table.add_row(
            escape(case.name),
            escape(case.semantics),
            f"{case.recorded:,}",
            f"{case.compared:,}",
            f"{len(case.left_out):,}",
            "" if closest is None else f"{closest.ratio:.2f}",
            f"[{COLOURS[case.verdict]}]{case.verdict}[/]",
        )
    return table


def _show_divergence(console: Console, case: CaseResult) -> None:
    console.print(f"\n[red]{escape(case.name)} diverges from the port (semantics: {escape(case.semantics)})[/]")
    if not case.comparisons:
        console.print("  nothing in it could be compared")
        return
    first = case.divergences[0]
    console.print(f"  first: [bold]{escape(_label(first))}[/] ({escape(first.where)})")
    console.print(f"  {escape(words.distance(first))}")
    if first.worst is not None:
        console.print(f"  {escape(words.worst(first))}")
    console.print(f"  what follows: {escape(words.what_follows(case))}")
    rest = case.divergences[1:]
    if not rest:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("  then")
    for name in ("distance", "allowed", "times"):
        table.add_column(name, justify="right")
    for comparison in rest[:SHOWN_DIVERGENCES]:
        if comparison.problem:
            table.add_row("  " + escape(_label(comparison)), escape(comparison.problem), "", "")
        else:
            numbers = (comparison.error, comparison.tolerance, comparison.ratio)
            table.add_row("  " + escape(_label(comparison)), *(f"{value:.3g}" for value in numbers))
    console.print(table)
    if len(rest) > SHOWN_DIVERGENCES:
        console.print(f"  and {len(rest) - SHOWN_DIVERGENCES:,} more; --json or --report lists them all")


def _label(comparison: Comparison) -> str:
    return f"{comparison.name} [{comparison.run}]" if comparison.run else comparison.name


def show_recordings(recordings: Sequence[Recording]) -> None:
    """Print what each recording holds, then how each kind was made."""
    console = _console()
    table = Table(box=None, pad_edge=False)
    table.add_column("recording", no_wrap=True)
    for name in ("tensors", *SIZES):
        table.add_column(name, justify="right")
    for name in ("segments", "made"):
        table.add_column(name, no_wrap=True)
    made: list[dict[str, str]] = []
    for recording in recordings:
        provenance = {key: value for key, value in sorted(recording.metadata.items()) if key != "config"}
        if provenance not in made:
            made.append(provenance)
        number = f"({made.index(provenance) + 1})"
        if recording.is_data:
            table.add_row(escape(recording.name), "", *("" for _ in SIZES), "data code", number)
            continue
        config = recording.config
        sizes = [str(config.get(key, "")) for key in SIZES]
        segments = " ".join(str(steps) for steps in config.get("segs", ()))
        count = f"{len(recording.tensors):,}"
        table.add_row(escape(recording.name), count, *map(escape, sizes), segments, number)
    console.print(table)
    for number_made, provenance in enumerate(made, start=1):
        console.print(f"\n({number_made}) " + escape("; ".join(f"{k}: {v}" for k, v in provenance.items())))
