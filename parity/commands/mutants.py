"""`sharnn parity mutants`: plant known faults, and see what the suite says of each."""

from pathlib import Path

import click

from parity.commands.options import FILE, check_folders, progress, write_numbers

PROCESSES = 2


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Plant this fault only; may be repeated.")
@click.option(
    "--cases", type=click.IntRange(min=0), default=40, show_default=True, help="Controls: random cases without a fault."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of the first control.")
@click.option("--json", "json_path", type=FILE, help="Write everything to this file.")
@click.option("--markdown", "markdown_path", type=FILE, help="Write the table, as Markdown, to this file.")
def mutants(only: tuple[str, ...], cases: int, seed: int, json_path: Path | None, markdown_path: Path | None) -> int:
    """Plant known faults in the port, and see what the suite says of each.

    A fault is caught if any tensor is wrong, localised if the first wrong one is that of the fault, and diagnosed if
    the suite explains it correctly. Controls follow, random cases without a fault, which must raise no alarm. Exits
    with 0 if all faults are caught and localised, 80% diagnosed, and there was no alarm; else with 1.
    """
    check_folders(json_path, markdown_path)

    from parity.report.step_summary import write_short_summary
    from parity.sharnn.faults import RECORDED, table
    from parity.sharnn.faults.run import run, select
    from sharnn_py.files import write_text

    chosen = select(RECORDED, only)
    result = run(chosen, range(seed, seed + cases), lambda found: progress(table.progress_line(found)), PROCESSES)
    table.show(result)
    write_numbers(table.to_json(result), json_path)
    if markdown_path is not None:
        write_text(markdown_path, table.to_markdown(result))
    write_short_summary(table.verdict(result), table.totals(result))
    return result.exit_code
