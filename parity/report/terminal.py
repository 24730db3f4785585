"""The report on the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from parity.recording.recording import Recording
from parity.report import words
from parity.report.divergence import lines, safe, tables
from parity.results import CaseResult, SuiteResult, of_cases

WIDTH_WITHOUT_TERMINAL = 160
INDENT = 2
SIZES = ("emb", "hidden", "vocab", "nlayers", "heads", "npos", "tie", "batch")
"""Of a recording's configuration, in the table of `show_recordings`."""
COLOURS = {"agrees": "green", "diverges": "red", "error": "yellow"}


def console(stderr: bool = False) -> Console:
    """Where to print: as wide as the terminal, or of a fixed width where the output is a file."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)


@contextmanager
def progress() -> Iterator[Callable[[CaseResult], None]]:
    """Show on stderr which case was finished last: a moving line on a terminal, else a line a case."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda case: out.print(f"{safe(case.name)}: {case.verdict} ({case.seconds:.1f} s)")
        return
    columns = (TextColumn("{task.description}"), BarColumn(pulse_style="cyan"), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda case: bar.update(task, description=f"finished {safe(case.name)}")


def show(result: SuiteResult) -> None:
    """Print the whole result."""
    _print(console(), result)


def text(*cases: CaseResult) -> str:
    """What `show` prints of these cases, without colours."""
    written = io.StringIO()
    _print(Console(file=written, width=WIDTH_WITHOUT_TERMINAL, highlight=False), of_cases(cases))
    return written.getvalue()


def _print(out: Console, result: SuiteResult) -> None:
    if result.live_missing:
        _print_verdict(out, result)
        out.print()
    out.print(_cases(result))
    for line in words.summary(result):
        out.print(safe(line))
    for case in result.cases:
        if case.problem:
            out.print(f"\n[yellow]{safe(case.name)} could not be run:[/] {safe(case.problem)}")
        elif not case:
            out.print(f"\n[red]{safe(case.name)} diverges (subject: {safe(case.subject)})[/]")
            for line in lines(case):
                _print_indented(out, line)
            for table in tables(case):
                out.print()
                out.print(Padding.indent(table, INDENT))
    out.print()
    _print_verdict(out, result)


def _print_verdict(out: Console, result: SuiteResult) -> None:
    style = "red" if not result else "yellow" if result.live_missing else "green"
    out.print(safe(words.verdict(result)), style=f"bold {style}", soft_wrap=not out.is_terminal)


def _print_indented(out: Console, markup: str) -> None:
    """A line as it is where the output is a file, to be searched; wrapped with its indentation on a terminal."""
    text = Text.from_markup(markup)
    wrapped = text.wrap(out, out.width - 2 * INDENT) if out.is_terminal else [text]
    for number, line in enumerate(wrapped):
        line.rstrip()
        out.print(Text(" " * (INDENT if number == 0 else 2 * INDENT)) + line, soft_wrap=True)


def _cases(result: SuiteResult) -> Table:
    table = Table(title=None, box=None, pad_edge=False)
    for name in ("recording", "subject"):
        table.add_column(name, overflow="fold")
    for name in ("recorded", "compared", "left out", "worst /\nallowed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("result")
    for case in result.cases:
        closest = case.closest
        table.add_row(
            safe(case.name),
            safe(case.subject),
            f"{case.recorded:,}",
            f"{case.compared:,}",
            f"{len(case.skipped):,}",
            "" if closest is None else words.ratio(closest.own.ratio),
            f"[{COLOURS[case.verdict]}]{case.verdict}[/]",
        )
    return table


def show_recordings(recordings: Sequence[Recording]) -> None:
    """Print what each recording holds, then how each kind was made."""
    out = console()
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
            table.add_row(safe(recording.name), "", *("" for _ in SIZES), "data code", number)
            continue
        config = recording.config
        sizes = [str(config.get(key, "")) for key in SIZES]
        segments = " ".join(str(steps) for steps in config.get("segs", ()))
        count = f"{len(recording.tensors):,}"
        table.add_row(safe(recording.name), count, *map(safe, sizes), segments, number)
    out.print(table)
    for number_made, provenance in enumerate(made, start=1):
        out.print(f"\n({number_made}) " + safe("; ".join(f"{k}: {v}" for k, v in provenance.items())))
