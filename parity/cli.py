"""`sharnn parity`: run the suite, list the recordings, record live Julia."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sharnn_py.config import Semantics

if TYPE_CHECKING:
    from julia_bridge.model import Source
    from parity.live import Case

EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])


def segment_lengths(ctx: click.Context, option: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Whole numbers of at least 1, separated by commas."""
    if value is None:
        return None
    try:
        lengths = tuple(int(part) for part in value.split(","))
    except ValueError:
        lengths = ()
    if not lengths or min(lengths) < 1:
        raise click.BadParameter(f"{value!r} is not a list of segment lengths, as 64,64,1", ctx, option)
    return lengths


def live_options(command: Command) -> Command:
    """What live Julia is given to run; shared by `run --live` and `record`."""
    for option in (
        click.option(
            "--segments", callback=segment_lengths, metavar="LENGTHS", help="Steps of each live segment, as 64,64,1."
        ),
        click.option("--text", type=EXISTING_FILE, help="Text for --checkpoint to read; a line is a sentence."),
        click.option("--checkpoint", type=EXISTING_FOLDER, help="Run this checkpoint's model live, on --text."),
        click.option("--upstream", type=EXISTING_FOLDER, help="A checkout of SHA-RNN.jl at ebd62af."),
    ):
        command = option(command)
    return command


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
    "--flip",
    multiple=True,
    type=click.Choice([field.name for field in dataclasses.fields(Semantics)]),
    help="Turn one switch of the semantics the other way; may be repeated.",
)
@click.option("--json", "json_path", type=FILE, help="Write every comparison to this file.")
@click.option("--junit", "junit_path", type=FILE, help="Write a JUnit XML file for CI.")
@click.option("--report", type=click.Path(file_okay=False, path_type=Path), help="Write a readable report here.")
@click.option("--live", is_flag=True, help="Run SHA-RNN in Julia too: the recorded cases again, and random ones.")
@click.option("--seed", "seeds", type=int, multiple=True, help="The random live case to run; may be repeated.")
@live_options
def run(
    semantics: str,
    references: Path | None,
    cases: tuple[str, ...],
    flip: tuple[str, ...],
    json_path: Path | None,
    junit_path: Path | None,
    report: Path | None,
    live: bool,
    seeds: tuple[int, ...],
    upstream: Path | None,
    checkpoint: Path | None,
    text: Path | None,
    segments: tuple[int, ...] | None,
) -> int:
    """Replay recordings with the port and compare every recorded tensor.

    Exits with 0 if all agree, 1 if any diverges, 3 if a recording could not be run.
    """
    for path in (json_path, junit_path):
        if path is not None and not path.parent.is_dir():
            raise click.UsageError(f"{path}: there is no folder {path.parent}")
    if not live and (seeds or upstream or checkpoint or text or segments):
        raise click.UsageError("--seed, --upstream, --checkpoint, --text and --segments are for --live")
    _check_text(checkpoint, text)

    from parity import live as julia
    from parity.recording import PACKAGED, Recording, discover
    from parity.report import files, terminal
    from parity.suite import run as run_suite
    from parity.suite import select

    folder = references or PACKAGED
    recordings: list[Recording] = []
    unavailable = ""
    if live:
        asked: list[Case] = [julia.random_case(seed, segments) for seed in seeds]
        if checkpoint is not None and text is not None:
            asked.append(julia.checkpoint_case(checkpoint, text, segments))
        if not asked:
            asked = julia.recordable(select(discover(folder), semantics, cases))
            asked += [] if cases else [julia.random_case(seed, segments) for seed in julia.RANDOM_SEEDS]
        recordings, unavailable = julia.record_if_available(asked, upstream, _say)
    with terminal.progress() as progress:
        result = run_suite(folder, semantics, cases, flip, progress, os.cpu_count() or 1, recordings)
    if unavailable:
        result = result.without_live(unavailable, is_fault=bool(os.environ.get("CI")))
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


@parity.command()
@click.option("--output", "-o", type=FILE, required=True, help="The recording to write, named *.safetensors.")
@click.option("--source", type=click.Choice(["upstream", "reference"]), default="reference", show_default=True)
@click.option("--seed", type=int, help="Record the random case drawn from this number.")
@live_options
def record(
    output: Path,
    source: Source,
    seed: int | None,
    upstream: Path | None,
    checkpoint: Path | None,
    text: Path | None,
    segments: tuple[int, ...] | None,
) -> None:
    """Record a run of SHA-RNN in Julia, for `parity run --references` to read.

    The source is SHA-RNN.jl itself (upstream) or this project's own statement of its semantics (reference).
    """
    if not output.name.endswith(".safetensors"):
        raise click.UsageError(f"{output}: a recording's name ends in .safetensors")
    if not output.parent.is_dir():
        raise click.UsageError(f"{output}: there is no folder {output.parent}")
    _check_text(checkpoint, text)
    if (seed is None) == (checkpoint is None):
        raise click.UsageError("give either --seed, or --checkpoint and --text")

    from parity import live as julia
    from sharnn_py.files import write_bytes

    if seed is not None:
        case = julia.random_case(seed, segments)
    else:
        assert checkpoint is not None  # by the check above
        assert text is not None
        case = julia.checkpoint_case(checkpoint, text, segments)
    recording = next(julia.record_all([case], [source], upstream, _say))
    write_bytes(output, recording.content or b"")
    click.echo(f"{output}: {len(recording.tensors)} tensors of {recording.metadata['implementation']}")


def _check_text(checkpoint: Path | None, text: Path | None) -> None:
    if (checkpoint is None) != (text is None):
        raise click.UsageError("--checkpoint and --text go together")


def _say(words: str) -> None:
    click.echo(words, err=True)
