"""Options that several commands share."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import click.shell_completion

if TYPE_CHECKING:
    from parity.results import SuiteResult

EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])


def case_names(ctx: click.Context, option: click.Parameter, incomplete: str) -> list[str]:
    """For completion in a shell: names of recordings that begin so, or whose last part does."""
    from parity.recording.files import PACKAGED, paths

    names = sorted(name for name, _ in paths(ctx.params.get("references") or PACKAGED))
    lasts = dict.fromkeys(name.rpartition("/")[2] for name in names)
    return [n for n in names if n.startswith(incomplete)] or [n for n in lasts if n.startswith(incomplete)]


def case_option(words: str) -> Callable[[Command], Command]:
    """The option `--case`, which names recordings; `words` are its help."""
    return click.option("--case", "cases", multiple=True, metavar="NAME", shell_complete=case_names, help=words)


def packaged_names(
    ctx: click.Context, argument: click.Parameter, incomplete: str
) -> list[click.shell_completion.CompletionItem]:
    """For completion in a shell: names of packaged recordings, or the shell's own of files where none begins so."""
    names = [click.shell_completion.CompletionItem(name) for name in case_names(ctx, argument, incomplete)]
    return names or [click.shell_completion.CompletionItem(incomplete, type="file")]


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
    """Add the options of where to write the reports, and of how much to print."""
    for option in (
        click.option("--quiet", "-q", is_flag=True, help="Print what is wrong first, and the verdict; nothing else."),
        click.option("--report", type=FOLDER, help="Write the report to this folder: a page, JSON and JUnit XML."),
        click.option("--junit", "junit_path", type=FILE, help="Write a JUnit XML file for CI."),
        click.option("--json", "json_path", type=FILE, help="Write every comparison to this file."),
    ):
        command = option(command)
    return command


def check_folders(*paths: Path | None, report: Path | None = None) -> None:
    """Raise `UsageError` for a file that cannot be written where it is asked for, or a folder of reports that cannot.

    `report` is made if need be. What is wrong shows before a run of minutes, not after.
    """
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise click.UsageError(f"{path}: there is no folder {path.parent}")
        if path is not None and not path.exists():  # what is there may be a device, which is written to in place
            _check_writable(path, path.parent)
    if report is not None:
        try:
            report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"{report}: no folder can be made there: {error.strerror}") from error
        _check_writable(report, report)


def _check_writable(path: Path, folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise click.UsageError(f"{path}: nothing can be written in {folder}: {error.strerror}") from error


def show_and_write(
    result: SuiteResult, json_path: Path | None, junit_path: Path | None, report: Path | None, quiet: bool = False
) -> int:
    """Print a result, write what `report_options` asked for, and return the exit code."""
    from parity.report import terminal
    from parity.report.step_summary import write_step_summary

    terminal.show(result, quiet)
    _write_reports(result, json_path, junit_path, report, quiet)
    write_step_summary(result)
    return result.exit_code


def _write_reports(
    result: SuiteResult, json_path: Path | None, junit_path: Path | None, report: Path | None, quiet: bool
) -> None:
    from parity.report import files
    from parity.sharnn.ledger.ledger import load

    if json_path is not None:
        files.write_json(result, json_path)
    if junit_path is not None:
        files.write_junit(result, junit_path)
    if report is not None:
        page = files.write_report(result, report, load().to_json()["entries"])
        if not quiet:
            click.echo(f"report: {page}")


def write_numbers(content: dict[str, Any], path: Path | None) -> None:
    """Write `content` as JSON to the file that was asked for, if one was."""
    from sharnn_py.files import write_text

    if path is not None:
        write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def progress(line: str) -> None:
    """Print a line on what is being done, to stderr."""
    click.echo(line, err=True)
