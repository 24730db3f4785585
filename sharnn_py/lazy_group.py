"""A command group whose modules load when one of its commands is called, so that `--help` imports nothing heavy."""

import importlib
from difflib import get_close_matches
from typing import Any

import click


class LazyGroup(click.Group):
    """A group of the commands in `subcommands`: by name, the module and the attribute that hold each."""

    def __init__(self, *args: Any, subcommands: dict[str, tuple[str, str]], **named: Any) -> None:
        super().__init__(*args, **named)
        self.subcommands = subcommands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.subcommands:
            return None
        module, name = self.subcommands[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, and of a misspelt name say which may have been meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.list_commands(ctx))
            if not near or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(near)}?", ctx) from error
