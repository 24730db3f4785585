"""`sharnn parity list`: what the recordings are."""

from pathlib import Path

import click

from parity.commands.options import EXISTING_FOLDER
from parity.errors import HOW_TO_CHECK, RecordingError


@click.command(name="list")
@click.option("--references", type=EXISTING_FOLDER, help="Folder of recordings; the packaged ones if not given.")
def list_recordings(references: Path | None) -> None:
    """Show the recordings: what each one contains and how it was made.

    Any recording is listed; the sizes are those of SHA-RNN's. Exits with 3 if a file cannot be read, after the list.
    """
    from rich.table import Table

    from parity.recording.library import PACKAGED, discover
    from parity.report.divergence import safe
    from parity.report.words import counted
    from parity.sharnn.header import SIZES, is_of_sharnn, made_by
    from sharnn_py.console import console

    settings = (*SIZES, "batch")
    table = Table(box=None, pad_edge=False)
    table.add_column("recording", no_wrap=True)
    for name in ("tensors", *settings):
        table.add_column(name, justify="right")
    for name in ("segments", "made"):
        table.add_column(name, no_wrap=True)
    made: list[dict[str, str]] = []
    unreadable: dict[str, RecordingError] = {}
    others = 0
    for recording in discover(references or PACKAGED):
        try:
            provenance = {key: value for key, value in sorted(made_by(recording).items()) if key != "config"}
            count = "" if recording.is_data else f"{len(recording.tensors):,}"
        except RecordingError as error:
            unreadable[recording.name] = error
            continue
        if provenance not in made:
            made.append(provenance)
        number = f"({made.index(provenance) + 1})"
        config = recording.config if is_of_sharnn(recording) and not recording.is_data else {}
        sizes = [safe(str(config.get(key, ""))) for key in settings]
        if recording.is_data:
            segments = "data code"
        elif config:
            segments = " ".join(str(steps) for steps in config.get("segs", ()))
        else:
            segments = counted(len(recording.segments), "segment")
            others += 1
        table.add_row(safe(recording.name), count, *sizes, segments, number)
    out = console()
    out.print(table)
    for number_made, provenance in enumerate(made, start=1):
        said = "; ".join(f"{key}: {value}" for key, value in provenance.items())
        out.print(f"\n({number_made}) " + safe(said or "the header does not say"))
    if others:
        out.print(f"\n{counted(others, 'recording is', 'recordings are')} not of SHA-RNN: " + safe(HOW_TO_CHECK))
    for name, why in unreadable.items():
        out.print(f"\n[yellow]{safe(name)} cannot be read:[/] {safe(str(why))}")
    if unreadable:
        raise RecordingError(f"{counted(len(unreadable), 'file')} could not be read")
