"""`sharnn parity list`: what the recordings are."""

from pathlib import Path

import click

from parity.commands.options import EXISTING_FOLDER


@click.command(name="list")
@click.option("--references", type=EXISTING_FOLDER, help="Folder of recordings; the packaged ones if not given.")
def list_recordings(references: Path | None) -> None:
    """Show the recordings: what each one contains and how it was made."""
    from rich.table import Table

    from parity.recording.library import PACKAGED, discover
    from parity.report.console import console
    from parity.report.divergence import safe
    from parity.sharnn.header import SIZES, made_by

    settings = (*SIZES, "batch")
    table = Table(box=None, pad_edge=False)
    table.add_column("recording", no_wrap=True)
    for name in ("tensors", *settings):
        table.add_column(name, justify="right")
    for name in ("segments", "made"):
        table.add_column(name, no_wrap=True)
    made: list[dict[str, str]] = []
    for recording in discover(references or PACKAGED):
        provenance = {key: value for key, value in sorted(made_by(recording).items()) if key != "config"}
        if provenance not in made:
            made.append(provenance)
        number = f"({made.index(provenance) + 1})"
        if recording.is_data:
            table.add_row(safe(recording.name), "", *("" for _ in settings), "data code", number)
            continue
        config = recording.config
        sizes = [safe(str(config.get(key, ""))) for key in settings]
        segments = " ".join(str(steps) for steps in config.get("segs", ()))
        table.add_row(safe(recording.name), f"{len(recording.tensors):,}", *sizes, segments, number)
    out = console()
    out.print(table)
    for count, provenance in enumerate(made, start=1):
        out.print(f"\n({count}) " + safe("; ".join(f"{key}: {value}" for key, value in provenance.items())))
