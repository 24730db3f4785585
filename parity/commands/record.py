"""`sharnn parity record`: a run of live Julia, or of a torch module, as a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from parity.commands.options import EXISTING_FILE, FILE, check_folders, check_text, live_options, progress
from parity.commands.own_code import module_options

if TYPE_CHECKING:
    from julia_bridge.sharnn.model import Source


@click.command()
@click.argument("factory", metavar="[MODULE:FACTORY", required=False)
@click.argument("inputs", metavar="INPUTS]", type=EXISTING_FILE, required=False)
@click.option("--output", "-o", type=FILE, required=True, help="The recording to write, named *.safetensors.")
@module_options
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
    factory: str | None,
    inputs: Path | None,
    output: Path,
    call: str | None,
    loss: str | None,
    source: Source,
    seed: int | None,
    upstream: Path | None,
    checkpoint: Path | None,
    text: Path | None,
    segments: tuple[int, ...] | None,
) -> None:
    """Record a torch module on INPUTS, for `parity check`; or SHA-RNN in Julia, for `parity run --references`.

    MODULE is imported, also from the current folder; FACTORY in it is a module, or what is called for one without
    arguments. INPUTS is a safetensors file of tensors named input/SEGMENT/NUMBER, such as another recording; in a file
    of one segment NUMBER will do, and a single tensor may have any name.

    Without them it is Julia that is recorded: give --seed, or --checkpoint and --text. Exits with 3 where Julia does
    not run.
    """
    if not output.name.endswith(".safetensors"):
        raise click.UsageError(f"{output}: a recording's name ends in .safetensors")
    check_folders(output)
    check_text(checkpoint, text)
    if factory is not None:
        if inputs is None:
            raise click.UsageError("a module is recorded on inputs: give a safetensors file of them after it")
        if seed is not None or checkpoint is not None or upstream is not None or segments is not None:
            raise click.UsageError(
                "--seed, --checkpoint, --text, --upstream and --segments are for Julia, not a module"
            )
        _record_module(factory, inputs, output, call, loss)
        return
    if call is not None or loss is not None:
        raise click.UsageError("--call and --loss are for a module: give MODULE:FACTORY and INPUTS")
    if (seed is None) == (checkpoint is None):
        raise click.UsageError("give either MODULE:FACTORY and INPUTS, or --seed, or --checkpoint and --text")

    from parity.sharnn import live as julia

    if seed is not None:
        case = julia.random_case(seed, segments)
    else:
        assert checkpoint is not None  # by the check above
        assert text is not None
        case = julia.checkpoint_case(checkpoint, text, segments)
    recording = julia.record_once(case, source, upstream, output, progress)
    click.echo(f"{output}: {len(recording.tensors):,} tensors of {recording.metadata['implementation']}")


def _record_module(factory: str, inputs: Path, output: Path, call: str | None, loss: str | None) -> None:
    from parity.commands.own_code import errors_of, module_of, named_function
    from parity.module.capture import capture
    from parity.recording.inputs import segments_in
    from parity.recording.library import open

    given = segments_in(open(inputs))
    module = module_of(factory)
    run, scalar = (None if name is None else named_function(name) for name in (call, loss))
    with errors_of(factory):
        recording = capture(module.eval(), *given, path=output, call=run, loss=scalar)
    click.echo(f"{output}: {len(recording.tensors):,} tensors of {recording.metadata['implementation']}")
