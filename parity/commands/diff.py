"""`sharnn parity diff`: compare one recording with another."""

from pathlib import Path

import click

from parity.commands.options import check_folders, report_options, write_reports


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@report_options
def diff(first: str, second: str, json_path: Path | None, junit_path: Path | None, report: Path | None) -> int:
    """Compare recording A with recording B, tensor by tensor, in order of computation.

    A and B are files of any two recordings (*.safetensors), or the names of packaged ones. Tensors of the same name
    are compared. Recordings of SHA-RNN, of whichever program, are compared under the port's names, and each layer of A
    is also computed as B's program would compute it.

    Exits with 0 if all agree, 1 if any differs, 3 if they cannot be compared.
    """
    check_folders(json_path, junit_path)
    from parity.recording.library import find
    from parity.report import terminal
    from parity.results import of_cases
    from parity.sharnn.environment import environment
    from parity.sharnn.pairs import compare_recordings

    result = of_cases(compare_recordings(find(first), find(second)), environment())
    terminal.show(result)
    write_reports(result, json_path, junit_path, report)
    return result.exit_code
