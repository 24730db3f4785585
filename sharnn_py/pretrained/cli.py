"""`sharnn pretrained`: a model to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from sharnn_py.errors import InputError

PACKAGED = Path(__file__).parent / "king_james"
"""A checkpoint in float16."""


@click.command()
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="CHECKPOINT",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write, which must not exist, or be empty.",
)
def pretrained(output: Path) -> None:
    """Write the packaged model to folder CHECKPOINT.

    It is the model of bytes that `sharnn train --preset laptop-60m` makes of the King James Bible, rounded to
    float16. `generate`, `score`, `export` and `parity` take the folder as they take any checkpoint.
    """
    from sharnn_py.checkpoint import load_checkpoint, save_checkpoint

    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"{output} holds files already; give a new folder, which the model is written to")
    packaged = load_checkpoint(PACKAGED)
    save_checkpoint(packaged.model.float(), output, packaged.vocabulary)
    parameters = sum(parameter.numel() for parameter in packaged.model.parameters())
    click.echo(f"{output}: {parameters:,} parameters, float32")
    click.echo(f'try: sharnn generate {output} --prompt "In the beginning" -n 300 --temperature 0.8')
