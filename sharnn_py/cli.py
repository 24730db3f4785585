"""The command `sharnn`: the entry point of all four packages.

Subcommands are named here by module and load when they are called, so that this package imports none of the others and
`sharnn --help` imports no torch.
"""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import click

from sharnn_py.broken_pipe import flush
from sharnn_py.errors import SharnnError
from sharnn_py.lazy_group import LazyGroup
from sharnn_py.missing import explained

SUBCOMMANDS = {
    "compare": ("sharnn_py.compare.cli", "compare"),
    "export": ("export.cli", "export"),
    "generate": ("export.text_cli", "generate"),
    "julia": ("julia_bridge.cli", "julia"),
    "onnx": ("export.cli", "onnx"),
    "parity": ("parity.cli", "parity"),
    "pretrained": ("sharnn_py.pretrained.cli", "pretrained"),
    "score": ("export.text_cli", "score"),
    "serve": ("export.server.cli", "serve"),
    "train": ("sharnn_py.trainer.cli", "train"),
    "yarn": ("export.yarn_cli", "yarn"),
}

USAGE, ENVIRONMENT, INTERRUPTED, TERMINATED = 2, 3, 130, 143


class ReaderLeft(Exception):
    """Nobody reads what the command prints any more. No OSError, which click would end as if it were a divergence."""


class Commands(LazyGroup):
    """The commands, whose reader may leave, as `head` does."""

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        with _reader_may_leave():  # it prints help
            return super().make_context(*args, **named)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            return super().invoke(ctx)


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderLeft from error


@click.group(cls=Commands, subcommands=SUBCOMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sharnn", prog_name="sharnn")
def sharnn() -> None:
    """SHA-RNN in PyTorch, and the proof that it is the model it was ported from.

    Exit codes: 0 agreement, 1 divergence, 2 wrong usage, 3 the environment or an input file.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. An error is one sentence on stderr, never a traceback."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    code = _run(arguments)
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    sys.exit(code)


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as by an exception, so that what was begun is taken back: half a file, a temporary folder, a process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with explained("this command"):
            return int(sharnn.main(arguments, prog_name="sharnn", standalone_mode=False) or 0)
    except ReaderLeft:
        return 0
    except click.ClickException as error:
        with suppress(BrokenPipeError):
            error.show()
        return USAGE
    except click.Abort:
        _tell("interrupted")
        return INTERRUPTED
    except SharnnError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _tell(f"error: {where}{error.strerror or error}")
        return ENVIRONMENT


def _tell(line: str) -> None:
    with suppress(BrokenPipeError):
        click.echo(line, err=True)
