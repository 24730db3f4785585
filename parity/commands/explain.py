"""`sharnn parity explain`: attribute the difference of both programs to the rows of the ledger."""

from pathlib import Path

import click

from parity.commands.options import EXISTING_FOLDER, FILE, FOLDER, case_option, check_folders, progress, write_numbers


@click.command()
@case_option("Explain this recording; may be repeated, and may be a pattern.")
@click.option(
    "--references",
    type=EXISTING_FOLDER,
    help="Explain every recording in this folder, in place of some packaged ones.",
)
@click.option(
    "--live", is_flag=True, help="Run Julia itself on Smerity's weights. Exits with 3 where Julia does not run."
)
@click.option("--report", type=FOLDER, help="Write a page, and every number as JSON, to this folder.")
@click.option("--json", "json_path", type=FILE, help="Write every number to this file.")
def explain(
    cases: tuple[str, ...], references: Path | None, live: bool, report: Path | None, json_path: Path | None
) -> int:
    """Attribute the whole difference between both programs to the rows of the ledger.

    On the same weights, rows are switched from julia to paper one at a time: at recordings of both programs, and in a
    run of both from a fresh model through training to the evaluation. Exits with 0 if the rows account for the whole
    difference, 1 if they do not or if a row is not what the ledger says, 3 if something could not be run.
    """
    check_folders(json_path, report=report)

    from parity.report.step_summary import write_short_summary
    from parity.sharnn.attribution import page, run, terminal
    from parity.sharnn.attribution.words import headline, verdict

    explanation = run.explain(cases, references, live, progress=progress)
    terminal.show(explanation)
    write_numbers(explanation.to_json(), json_path)
    if report is not None:
        write_numbers(explanation.to_json(), report / "explain.json")
        click.echo(f"report: {page.write_page(explanation, report)}")
    write_short_summary(verdict(explanation), [headline(explanation)])
    return explanation.exit_code
