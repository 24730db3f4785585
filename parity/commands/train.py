"""`sharnn parity train`: train the port beside Julia, and see whether both become the same model."""

from __future__ import annotations

from pathlib import Path

import click

from parity.commands.options import EXISTING_FILE, check_folders, progress, report_options, write_numbers
from sharnn_py.config import Program


@click.command()
@click.argument("text", type=EXISTING_FILE, required=False)
@click.option(
    "--optimiser",
    type=click.Choice(["julia", "paper", "all"]),
    default="all",
    show_default=True,
    help="Whose optimiser and schedule: SHA-RNN.jl's, that of Smerity's program, or both, one after the other.",
)
@click.option("--updates", type=click.IntRange(min=1), default=200, show_default=True, help="How many to make.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the start, the batches and the text."
)
@report_options
def train(
    text: Path | None,
    optimiser: str,
    updates: int,
    seed: int,
    json_path: Path | None,
    junit_path: Path | None,
    report: Path | None,
    quiet: bool,
) -> int:
    """Train the port beside Julia, and compare both after every update.

    Julia draws a small model as SHA-RNN.jl does, and both sides train it on TEXT (a generated one if none is given),
    each with its own forward pass, gradients, optimiser and carried state: in float64, where nothing but rounding may
    part them, and in float32.

    Exits with 0 if every update stays as near Julia's as the port's own runs are to one another, 1 if one does not,
    3 where Julia does not run.
    """
    check_folders(json_path, junit_path, report=report)

    from parity.report.step_summary import write_short_summary
    from parity.sharnn.training import files, terminal, words
    from parity.sharnn.training.run import run

    programs: list[Program] = ["julia", "paper"] if optimiser == "all" else [optimiser]  # type: ignore[list-item]
    result = run(programs, updates, seed, text, (lambda line: None) if quiet else progress)
    terminal.show(result, quiet)
    write_numbers(files.to_json(result), json_path)
    if junit_path is not None:
        files.write_junit(result, junit_path)
    if report is not None:
        write_numbers(files.to_json(result), report / "training.json")
        files.write_junit(result, report / "training.xml")
        page = files.write_page(result, report)
        if not quiet:
            click.echo(f"report: {page}")
    write_short_summary(words.verdict(result), [words.headline(result)])
    return result.exit_code
