"""`sharnn parity`: one module of `parity.commands` for each command."""

import click

from sharnn_py.lazy_group import LazyGroup

SUBCOMMANDS = {
    "check": ("parity.commands.check", "check"),
    "diff": ("parity.commands.diff", "diff"),
    "explain": ("parity.commands.explain", "explain"),
    "list": ("parity.commands.list", "list_recordings"),
    "mutants": ("parity.commands.mutants", "mutants"),
    "record": ("parity.commands.record", "record"),
    "run": ("parity.commands.run", "run"),
    "train": ("parity.commands.train", "train"),
}


@click.group(cls=LazyGroup, subcommands=SUBCOMMANDS)
def parity() -> None:
    """Compare the PyTorch port, or any torch module, with what another program computed, tensor by tensor."""
