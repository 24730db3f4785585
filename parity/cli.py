"""`sharnn parity`: run the suite, list the recordings."""

from __future__ import annotations

import os
from pathlib import Path

import click

EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def parity() -> None:
    """Hold the PyTorch port against what the public programs computed."""


@parity.command()
@click.option(
    "--semantics",
    type=click.Choice(["julia", "paper", "all"]),
    default="all",
    show_default=True,
    help="What the port computes, and so whose recordings are run; all: each recording under its own program's. "
    "A recording of the other program is run if --case names it.",
)
@click.option("--references", type=EXISTING_FOLDER, help="Folder of recordings; the packaged ones if not given.")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Run this recording only; may be repeated.")
@click.option(
    "--flip", multiple=True, metavar="ROW", help="Turn one switch of the semantics the other way; may be repeated."
)
@click.option("--json", "json_path", type=FILE, help="Write every comparison to this file.")
@click.option("--junit", "junit_path", type=FILE, help="Write a JUnit XML file for CI.")
@click.option("--report", type=click.Path(file_okay=False, path_type=Path), help="Write a readable report here.")
def run(
    semantics: str,
    references: Path | None,
    cases: tuple[str, ...],
    flip: tuple[str, ...],
    json_path: Path | None,
    junit_path: Path | None,
    report: Path | None,
) -> int:
    """Replay recordings with the port and compare every recorded tensor.

    Exits with 0 if all agree, 1 if any diverges, 3 if a recording could not be run.
    """
    for path in (json_path, junit_path):
        if path is not None and not path.parent.is_dir():
            raise click.UsageError(f"{path}: there is no folder {path.parent}")

    from parity.recording import PACKAGED
    from parity.report import files, terminal
    from parity.suite import run as run_suite

    with terminal.progress() as progress:
        result = run_suite(references or PACKAGED, semantics, cases, flip, progress, processes=os.cpu_count() or 1)
    terminal.show(result)
    if json_path is not None:
        files.write_json(result, json_path)
    if junit_path is not None:
        files.write_junit(result, junit_path)
    if report is not None:
        click.echo(f"report: {files.write_report(result, report)}")
    return result.exit_code


@parity.command(name="list")
@click.option("--references", type=EXISTING_FOLDER, help="Folder of recordings; the packaged ones if not given.")
def list_recordings(references: Path | None) -> None:
    """Show the recordings: what each one holds and how it was made."""
    from parity.recording import PACKAGED, discover
    from parity.report import terminal

    terminal.show_recordings(discover(references or PACKAGED))
