"""The explanation on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from parity.sharnn.attribution import words
from parity.sharnn.attribution.results import Attribution, Explanation, OutputChange
from sharnn_py.console import console


def show(explanation: Explanation) -> None:
    """Print the sentence that comes first, a table for each case, what is not explained, and the verdict."""
    out = console()
    out.print(escape(words.headline(explanation)), style="bold", soft_wrap=not out.is_terminal)
    for case in explanation.cases:
        _show_case(out, case)
    for name, reason in explanation.skipped.items():
        out.print(f"{escape(name)} skipped: {escape(reason)}")
    out.print(escape(words.verdict(explanation)), style="bold green" if explanation else "bold red")


def _show_case(out: Console, case: Attribution) -> None:
    out.print(f"[bold]{escape(case.name)}[/]")
    for endpoint in case.endpoints:
        port = f"; the port's error is {endpoint.ratio:.2g} of its tolerance" if endpoint.ratio else ""
        out.print(f"  {endpoint.program} is {escape(endpoint.what)}{port}")
    if case.contributions:
        out.print("  " + words.scale(case))
        out.print(_table(case))
    for note in case.notes:
        out.print("  " + escape(note), soft_wrap=True)
    for endpoint in case.endpoints:
        if not endpoint:
            out.print(escape(words.not_the_program(case, endpoint)), style="red", soft_wrap=True)
    for problem in case.problems:
        out.print(escape(problem), style="red", soft_wrap=True)
    out.print()


def _table(case: Attribution) -> Table:
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
    table.add_row("", "all rows", *("" for _ in total), *total, style="bold")
    return table


def _change(change: OutputChange, case: Attribution) -> list[str]:
    units = [change.largest / case.rounding] if case.rounding else []
    numbers = [f"{change.largest:.3g}", f"{change.rms:.3g}", *(f"{u:.2g}" for u in units), f"{change.loss:+.2g}"]
    return ["-" for _ in numbers] if change.is_zero else numbers
