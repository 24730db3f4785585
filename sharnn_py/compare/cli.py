"""`sharnn compare`: SHA-RNN and the models that it has to pass, on one text, by one clock."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click

NAMES = ("ppmd", "kneser-ney", "lstm", "sha-rnn-none", "sha-rnn-one", "sha-rnn-all")
"""What can be compared, by name."""

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    required=True,
    metavar="M",
    help="Wall-clock minutes to train each neural model, and as many again to choose its settings.",
)
@click.option("--json", "json_path", type=FILE, help="Write the numbers, and all that was tried, to this file.")
@click.option("--plot", type=FILE, help="Draw bits per byte against seconds of CPU (.png, .svg, .pdf).")
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="Compare this one only; may be repeated.")
def compare(text: Path, minutes: float, json_path: Path | None, plot: Path | None, only: tuple[str, ...]) -> None:
    """Compare SHA-RNN with PPMd and n-grams on the bytes of file TEXT.

    The last 2% of the text is held out, and what each model spends on a byte of it is printed. Every model's
    settings are chosen in the same number of trials, on the 2% before.
    """
    if not math.isfinite(minutes):
        raise click.UsageError(f"--minutes is {minutes}; it must be a number of minutes")
    for file in (json_path, plot):
        if file is not None and not file.parent.is_dir():
            raise click.UsageError(f"{file}: there is no folder {file.parent}")
    if plot is not None:
        from sharnn_py.compare.plot import require_format, write_plot

        require_format(plot)
    from sharnn_py.compare.contest import run
    from sharnn_py.compare.table import print_table
    from sharnn_py.console import console
    from sharnn_py.files import write_text

    progress = console(sys.stderr)
    contest = run(text.read_bytes(), minutes, only or NAMES, tell=progress.print)
    print_table(contest.rows, console())
    if json_path is not None:
        write_text(json_path, contest.to_json())
    if plot is not None:
        write_plot(contest.rows, plot)
