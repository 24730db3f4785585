"""The report on the terminal."""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from parity.report import words
from parity.report.columns import COLUMNS, Column
from parity.report.divergence import lines, safe, tables
from parity.results import CaseResult, SuiteResult, of_cases
from sharnn_py.console import console

INDENT = 2
COLOURS = {"agrees": "green", "diverges": "red", "error": "yellow"}


@contextmanager
def progress(total: int | None = None, quiet: bool = False) -> Iterator[Callable[[CaseResult], None]]:
    """Show on stderr how many of `total` cases are done, which was last, and about how long the others will take.

    A moving line on a terminal, else a line a case; `quiet` shows nothing.
    """
    out = console(sys.stderr)
    if quiet:
        yield lambda case: None
        return
    if not out.is_terminal:
        yield lambda case: out.print(f"{safe(case.name)}: {case.verdict} ({case.seconds:.1f} s)")
        return
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
               TimeRemainingColumn(), TextColumn("{task.description}"))  # fmt: skip
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda case: bar.update(task, advance=1, description=f"{case.verdict}: {safe(case.name)}")


def show(result: SuiteResult, quiet: bool = False) -> None:
    """Print the whole result; if `quiet`, what is wrong first, and the verdict."""
    _print(console(), result, quiet)


def text(*cases: CaseResult) -> str:
    """What `show` prints of these cases, without colours."""
    written = io.StringIO()
    _print(console(written), of_cases(cases))
    return written.getvalue()


def _print(out: Console, result: SuiteResult, quiet: bool = False) -> None:
    sentence = words.headline(result)
    if sentence:
        _print_sentence(out, sentence)
    if not quiet:
        _print_all(out, result)
        if sentence and len(result.cases) > 1:
            _print_sentence(out, sentence)  # again, for the first one may have scrolled away
    _print_verdict(out, result)


def _print_all(out: Console, result: SuiteResult) -> None:
    if result.live_missing:
        _print_verdict(out, result)
        out.print()
    out.print(_cases(result, out))
    for line in words.summary(result):
        out.print(safe(line), soft_wrap=not out.is_terminal)
    for case in result.cases:
        if case.problem:
            out.print(f"\n[yellow]{safe(case.name)} could not be run:[/] {safe(case.problem)}")
        elif not case:
            out.print(f"\n[red]{safe(case.name)} diverges (subject: {safe(case.subject)})[/]")
            for line in lines(case):
                _print_indented(out, line)
            for table in tables(case, out.width - INDENT):
                out.print()
                out.print(Padding.indent(table, INDENT))
    out.print()


def _print_sentence(out: Console, sentence: str) -> None:
    out.print(safe(sentence), style="bold", soft_wrap=not out.is_terminal)


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


def _cases(result: SuiteResult, out: Console) -> Table:
    """The table of recordings, with as many columns as there is room for: names and results are always there."""
    columns = list(COLUMNS)
    unlimited = out.options.update(max_width=10_000)
    while columns and out.measure(_table(result, columns), options=unlimited).maximum > out.width:
        columns.remove(next((c for c in columns if not c.on_narrow_pages), columns[0]))
    return _table(result, columns)


def _table(result: SuiteResult, columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("recording", overflow="fold")
    for column in columns:
        if column.is_number:
            table.add_column(column.title.replace(" (", "\n("), justify="right", no_wrap=True)
        else:
            table.add_column(column.title, overflow="fold")
    table.add_column("result", no_wrap=True)
    for case in result.cases:
        texts = (safe(column.text(case)) for column in columns)
        table.add_row(safe(case.name), *texts, f"[{COLOURS[case.verdict]}]{case.verdict}[/]")
    return table
