"""`sharnn parity run`: compare the port with recordings and live Julia."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parity.commands.options import (
    EXISTING_FOLDER,
    case_option,
    check_folders,
    check_text,
    live_options,
    progress,
    report_options,
    show_and_write,
)
from sharnn_py.config import Semantics

if TYPE_CHECKING:
    from parity.sharnn.live import Case


@click.command()
@click.option(
    "--semantics",
    type=click.Choice(["julia", "paper", "all"]),
    default="all",
    show_default=True,
    help="What the port computes, and so whose recordings are run; all: each recording under the semantics of its own "
    "program. A recording of the other program is run if --case names it.",
)
@click.option("--references", type=EXISTING_FOLDER, help="Folder of recordings; the packaged ones if not given.")
@case_option("Run this recording only; may be repeated, and may be a pattern, as '*longseg' or 'smerity/L[24]*'.")
@click.option(
    "--flip",
    multiple=True,
    type=click.Choice([field.name for field in dataclasses.fields(Semantics)]),
    help="Set one switch of the semantics to the other program; may be repeated.",
)
@click.option("--fail-fast", is_flag=True, help="Begin no recording after the first that does not agree.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    metavar="N",
    help="Recordings to run at once; as many as there are processors if not given.",
)
@report_options
@click.option(
    "--live",
    flag_value="required",
    help="Run SHA-RNN in Julia too: the recorded cases again, and random ones. Exits with 3 where Julia does not run.",
)
@click.option(
    "--live-if-possible",
    "live",
    flag_value="if possible",
    help="As --live, but where Julia does not run, the recordings alone decide the exit code, unless CI is set; the "
    "headline says that Julia did not run.",
)
@click.option("--seed", "seeds", type=int, multiple=True, help="Run the random case with this seed; may be repeated.")
@live_options
def run(
    semantics: str,
    references: Path | None,
    cases: tuple[str, ...],
    flip: tuple[str, ...],
    fail_fast: bool,
    jobs: int | None,
    json_path: Path | None,
    junit_path: Path | None,
    report: Path | None,
    quiet: bool,
    live: str | None,
    seeds: tuple[int, ...],
    upstream: Path | None,
    checkpoint: Path | None,
    text: Path | None,
    segments: tuple[int, ...] | None,
) -> int:
    """Replay recordings with the port and compare every recorded tensor.

    Recordings are SHA-RNN's; `sharnn parity check` holds any torch module against any recording.

    Exits with 0 if all agree, 1 if any diverges, 3 if a recording, or the live Julia asked for, could not be run.
    """
    check_folders(json_path, junit_path, report=report)
    if not live and (seeds or upstream or checkpoint or text or segments):
        raise click.UsageError(
            "--seed, --upstream, --checkpoint, --text and --segments are for --live or --live-if-possible"
        )
    check_text(checkpoint, text)

    from parity.recording.library import PACKAGED, discover
    from parity.recording.recording import Recording
    from parity.report import terminal
    from parity.sharnn import live as julia
    from parity.sharnn.suite import run_chosen, select

    chosen = select(discover(references or PACKAGED), semantics, cases)
    recordings: list[Recording] = []
    unavailable = ""
    with tempfile.TemporaryDirectory(prefix="sharnn-live-") as made:
        if live:
            asked: list[Case] = [julia.random_case(seed, segments) for seed in seeds]
            if checkpoint is not None and text is not None:
                asked.append(julia.checkpoint_case(checkpoint, text, segments))
            if not asked:
                asked = julia.recordable(chosen)
                asked += [] if cases else [julia.random_case(seed, segments) for seed in julia.RANDOM_SEEDS]
            recordings, unavailable = julia.record_if_available(asked, upstream, Path(made), progress)
        everything = [*chosen, *recordings]
        with terminal.progress(len(everything), quiet) as finished:
            result = run_chosen(everything, semantics, flip, finished, jobs or os.cpu_count() or 1, fail_fast)
    if unavailable:
        required = live == "required" or bool(os.environ.get("CI"))
        result = dataclasses.replace(result, live_missing=unavailable, live_required=required)
    return show_and_write(result, json_path, junit_path, report, quiet)
