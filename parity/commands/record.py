"""`sharnn parity record`: a run of live Julia as a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from parity.commands.options import FILE, check_folders, check_text, live_options, progress

if TYPE_CHECKING:
    from julia_bridge.sharnn.model import Source


@click.command()
@click.option("--output", "-o", type=FILE, required=True, help="The recording to write, named *.safetensors.")
@click.option(
    "--source",
    type=click.Choice(["upstream", "reference"]),
    default="reference",
    show_default=True,
    help="What Julia runs.",
)
@click.option("--seed", type=int, help="Record the random case with this seed.")
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

    Exits with 3 where Julia does not run.
    """
    if not output.name.endswith(".safetensors"):
        raise click.UsageError(f"{output}: a recording's name ends in .safetensors")
    check_folders(output)
    check_text(checkpoint, text)
    if (seed is None) == (checkpoint is None):
        raise click.UsageError("give either --seed, or --checkpoint and --text")

    from parity.sharnn import live as julia

    if seed is not None:
        case = julia.random_case(seed, segments)
    else:
        assert checkpoint is not None  # by the check above
        assert text is not None
        case = julia.checkpoint_case(checkpoint, text, segments)
    recording = julia.record_once(case, source, upstream, output, progress)
    click.echo(f"{output}: {len(recording.tensors)} tensors of {recording.metadata['implementation']}")
