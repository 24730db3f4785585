"""`sharnn julia`: get Julia, see whether it works, exchange weights with it."""

from pathlib import Path

import click

ENVIRONMENT = 3
"""The exit status for something that the machine lacks."""


@click.group()
def julia() -> None:
    """Get Julia, see whether it works, exchange weights with SHA-RNN.jl."""


@julia.command("install")
def install_command() -> None:
    """Get Julia and juliacall into a folder of their own, without root. Does nothing if they are there."""
    from julia_bridge.install.install import ensure

    installation = ensure(lambda line: click.echo(line, err=True))
    click.echo(f"Julia is installed: {installation.name}, in {installation.place}")


@julia.command("doctor")
def doctor_command() -> int:
    """Say which Julia is used, in which versions, and what is wrong with it. Exits with 3 if it does not work."""
    from julia_bridge.install.doctor import doctor

    report = doctor()
    click.echo(report)
    return 0 if report else ENVIRONMENT


@julia.command("export")
@click.argument("checkpoint", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), required=True)
def export_command(checkpoint: Path, output: Path) -> None:
    """Write a checkpoint's weights under SHA-RNN.jl's names, as a safetensors file."""
    from julia_bridge.sharnn.weights import export_parameters

    export_parameters(checkpoint, output)
    click.echo(f"{output}: the parameters of {checkpoint}")


@julia.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), required=True)
def import_command(file: Path, output: Path) -> None:
    """Make a checkpoint folder from SHA-RNN.jl's weights: what `export` wrote, or a .jld2 that SHA-RNN.jl saved."""
    from julia_bridge.sharnn.weights import import_parameters

    import_parameters(file, output)
    click.echo(f"{output}: a checkpoint made from {file}")
