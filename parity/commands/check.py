"""`sharnn parity check`: hold a torch module of the user's own against a recording."""

from __future__ import annotations

from pathlib import Path

import click

from parity.commands.options import EXISTING_FILE, check_folders, report_options, show_and_write
from parity.commands.own_code import module_options


@click.command()
@click.argument("factory", metavar="MODULE:FACTORY")
@click.argument("reference", type=EXISTING_FILE)
@module_options
@click.option(
    "--names",
    type=EXISTING_FILE,
    help="A JSON object: the module's names of tensors and parameters to the recording's, where they differ.",
)
@click.option("--time-axis", type=int, help="The axis of the steps, for the first bad one to be found.")
@report_options
def check(
    factory: str,
    reference: Path,
    call: str | None,
    loss: str | None,
    names: Path | None,
    time_axis: int | None,
    json_path: Path | None,
    junit_path: Path | None,
    report: Path | None,
    quiet: bool,
) -> int:
    """Hold a torch module against the recording REFERENCE, layer by layer.

    MODULE is imported, also from the current folder; FACTORY in it is a module, or what is called for one without
    arguments. The module runs on the inputs that were recorded.

    Exits with 0 if all agrees, 1 if anything diverges or nothing was compared, 2 if there is no such module, 3 if the
    recording cannot be read.
    """
    check_folders(json_path, junit_path, report=report)
    from parity.commands.own_code import errors_of, module_of, named_function, names_in
    from parity.module.check import check as check_module
    from parity.recording.library import open
    from parity.results import of_cases
    from parity.sharnn.environment import environment

    module = module_of(factory)
    run, scalar = (None if name is None else named_function(name) for name in (call, loss))
    with errors_of(factory):
        result = check_module(
            module, open(reference), names=names_in(names), call=run, loss=scalar, time_axis=time_axis
        )
    return show_and_write(of_cases([result], environment()), json_path, junit_path, report, quiet)
