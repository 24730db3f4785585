"""`sharnn parity list`: what the recordings are."""

from __future__ import annotations

from pathlib import Path

import click

from parity.commands.options import EXISTING_FOLDER


@click.command(name="list")
@click.option("--references", type=EXISTING_FOLDER, help="Folder of recordings; the packaged ones if not given.")
def list_recordings(references: Path | None) -> None:
    """Show the recordings: what each one holds and how it was made."""
    from parity.recording.library import PACKAGED, discover
    from parity.report import terminal
    from parity.sharnn.header import SIZES, made_by

    terminal.show_recordings(discover(references or PACKAGED), (*SIZES, "batch"), made_by)
