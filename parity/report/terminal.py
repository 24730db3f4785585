"""The report on the terminal."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from parity.report import words
from parity.report.columns import COLUMNS
from parity.report.console import console
from parity.report.divergence import lines, safe, tables
from parity.results import CaseResult, SuiteResult, of_cases

INDENT = 2
COLOURS = {"agrees": "green", "diverges": "red", "error": "yellow"}


@contextmanager
def progress() -> Iterator[Callable[[CaseResult], None]]:
    """Show on stderr which case was finished last: a moving line on a terminal, else a line a case."""
    out = console(sys.stderr)
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
    _print(console(written), of_cases(cases))
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
    table = Table(box=None, pad_edge=False)
    table.add_column("recording", overflow="fold")
    for column in COLUMNS:
        if column.is_number:
            table.add_column(column.title.replace("/ ", "/\n"), justify="right", no_wrap=True)
        else:
            table.add_column(column.title, overflow="fold")
    table.add_column("result")
    for case in result.cases:
        texts = (safe(column.text(case)) for column in COLUMNS)
        table.add_row(safe(case.name), *texts, f"[{COLOURS[case.verdict]}]{case.verdict}[/]")
    return table
