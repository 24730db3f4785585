"""The command `sharnn`: the entry point of all four packages.

Subcommands are named here by module and load when they are called, so that this package imports none of the others and
`sharnn --help` imports no torch.
"""

import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import click

from sharnn_py.errors import SharnnError
from sharnn_py.lazy_group import LazyGroup

SUBCOMMANDS = {
    "export": ("export.cli", "export"),
    "generate": ("export.text_cli", "generate"),
    "julia": ("julia_bridge.cli", "julia"),
    "onnx": ("export.cli", "onnx"),
    "parity": ("parity.cli", "parity"),
    "score": ("export.text_cli", "score"),
}

USAGE, ENVIRONMENT, INTERRUPTED, TERMINATED = 2, 3, 130, 143


@click.group(cls=LazyGroup, subcommands=SUBCOMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sharnn", prog_name="sharnn")
def sharnn() -> None:
    """SHA-RNN in PyTorch, and the proof that it is the model it was ported from.

    Exit codes: 0 agreement, 1 divergence, 2 wrong usage, 3 the environment or an input file.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. An error is one sentence on stderr, never a traceback."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run(arguments))


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as by an exception, so that what was begun is taken back: half a file, a temporary folder, a process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return int(sharnn.main(arguments, prog_name="sharnn", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return USAGE
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except SharnnError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        sys.stdout = None  # the reader is gone, so flushing at exit would fail
        return ENVIRONMENT
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror or error}", err=True)
        return ENVIRONMENT
