"""The result on the terminal."""

from rich.markup import escape
from rich.table import Table

from parity.report.words import short
from parity.sharnn.training import words
from parity.sharnn.training.results import TrainingParity, Trajectory
from sharnn_py.console import console


def show(result: TrainingParity, quiet: bool = False) -> None:
    """Print what is wrong first, the optimisers' proof, a table for each training, and the verdict.

    Quiet, only what is wrong first, or how near both sides stay, and the verdict.
    """
    out = console()
    style = "bold green" if result else "bold red"
    out.print(escape(words.headline(result)), style="bold", soft_wrap=not out.is_terminal)
    if not quiet:
        out.print(escape(words.optimisers(result)), soft_wrap=not out.is_terminal)
        for found in result.trajectories:
            out.print()
            out.print(escape(words.title(found)), style="bold")
            out.print(_table(found))
            if not found:
                out.print(escape(words.why(found)), style="red", soft_wrap=not out.is_terminal)
        out.print()
    out.print(escape(words.verdict(result)), style=style, soft_wrap=not out.is_terminal)


def _table(found: Trajectory) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("update", "loss in Julia", "of the port", "parameters apart", "allowed", "port's runs apart", "moved"):
        table.add_column(name, justify="right", no_wrap=True)
    for m in words.rows(found):
        losses = (f"{m.julia_loss:.9g}", f"{m.port_loss:.9g}")
        distances = map(short, (m.distance, m.allowed, m.spread, m.moved))
        table.add_row(f"{m.number:,}", *losses, *distances, style=None if m.agrees else "red")
    return table
