"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from parity.results import SuiteResult

EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])


def segment_lengths(ctx: click.Context, option: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Read whole numbers of at least 1, separated by commas."""
    if value is None:
        return None
    try:
        lengths = tuple(int(part) for part in value.split(","))
    except ValueError:
        lengths = ()
    if not lengths or min(lengths) < 1:
        raise click.BadParameter(f"{value!r} is not a list of segment lengths such as 64,64,1", ctx, option)
    return lengths


def check_text(checkpoint: Path | None, text: Path | None) -> None:
    """Raise `UsageError` for one of --checkpoint and --text without the other."""
    if (checkpoint is None) != (text is None):
        raise click.UsageError("--checkpoint and --text go together")


def live_options(command: Command) -> Command:
    """Add the options of what live Julia runs, which `run --live` and `record` share."""
    for option in (
        click.option(
            "--segments", callback=segment_lengths, metavar="LENGTHS", help="Steps of each live segment: 64,64,1."
        ),
        click.option("--text", type=EXISTING_FILE, help="Text for --checkpoint to read; a line is a sentence."),
        click.option("--checkpoint", type=EXISTING_FOLDER, help="Run this checkpoint's model live, on --text."),
        click.option("--upstream", type=EXISTING_FOLDER, help="A checkout of SHA-RNN.jl at ebd62af."),
    ):
        command = option(command)
    return command


def report_options(command: Command) -> Command:
    """Add the options of where to write the reports."""
    folder = click.Path(file_okay=False, path_type=Path)
    for option in (
        click.option("--report", type=folder, help="Write the report to this folder: a page, JSON and JUnit XML."),
        click.option("--junit", "junit_path", type=FILE, help="Write a JUnit XML file for CI."),
        click.option("--json", "json_path", type=FILE, help="Write every comparison to this file."),
    ):
        command = option(command)
    return command


def check_folders(*paths: Path | None) -> None:
    """Raise `UsageError` for a file in a folder that does not exist."""
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise click.UsageError(f"{path}: there is no folder {path.parent}")


def write_reports(result: SuiteResult, json_path: Path | None, junit_path: Path | None, report: Path | None) -> None:
    """Write what `report_options` asked for."""
    from parity.report import files
    from parity.sharnn.ledger.ledger import load

    if json_path is not None:
        files.write_json(result, json_path)
    if junit_path is not None:
        files.write_junit(result, junit_path)
    if report is not None:
        click.echo(f"report: {files.write_report(result, report, load().to_json()['entries'])}")


def write_numbers(content: dict[str, Any], path: Path | None) -> None:
    """Write `content` as JSON to the file that was asked for, if one was."""
    from sharnn_py.files import write_text

    if path is not None:
        write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def progress(line: str) -> None:
    """Print a line on what is being done, to stderr."""
    click.echo(line, err=True)
