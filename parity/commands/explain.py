"""`sharnn parity explain`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Explain this recording; may be repeated.")
@click.option(
    "--references",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of recordings, all of which are explained; some of the packaged ones if not given.",
)
@click.option("--live", is_flag=True, help="Let Julia itself compute what SHA-RNN.jl does on Smerity's weights.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write all of it to this file."
)
def explain(cases: tuple[str, ...], references: Path | None, live: bool, json_path: Path | None) -> int:
    """Attribute the whole difference between both programs to the rows of the ledger.

    On the same weights, rows are switched from julia to paper one at a time: at recordings of both programs, and in a
    run of both from a fresh model through training to the evaluation. Exits with 1 if a difference is left that the
    ledger does not explain, or if a row is not what the ledger says of it.
    """
    if json_path is not None and not json_path.parent.is_dir():
        raise click.UsageError(f"{json_path}: there is no folder {json_path.parent}")

    import json

    from parity.sharnn.attribution import run, terminal
    from sharnn_py.files import write_text

    explanation = run.explain(cases, references, live, say=lambda words: click.echo(words, err=True))
    terminal.show(explanation)
    if json_path is not None:
        write_text(json_path, json.dumps(explanation.to_json(), indent=1, allow_nan=False) + "\n")
    return explanation.exit_code
