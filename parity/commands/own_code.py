"""What the command line is given of the user's own code: `module:function`, imported from the current folder."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from parity.errors import UsageError, suggestion

if TYPE_CHECKING:
    from torch import nn

Command = TypeVar("Command", bound=Callable[..., Any])


def module_options(command: Command) -> Command:
    """The options that say how a module is run; shared by `check` and `record`."""
    for option in (
        click.option(
            "--loss", metavar="MODULE:FUNCTION", help="Makes a scalar of the output, for gradients to be compared too."
        ),
        click.option(
            "--call",
            metavar="MODULE:FUNCTION",
            help="Runs a segment of a module that carries a state: of (module, inputs, state) the (output, state).",
        ),
    ):
        command = option(command)
    return command


def named_function(given: str) -> Callable[..., Any]:
    """What `module:name` names, which can be called. Raises `UsageError` saying what is not there."""
    found = _named(given)
    if not callable(found):
        raise UsageError(f"{given} is {type(found).__name__} and cannot be called")
    function: Callable[..., Any] = found
    return function


def module_of(given: str) -> nn.Module:
    """The torch module that `module:factory` is, or returns when it is called. Raises `UsageError`."""
    from torch import nn

    found = _named(given)
    if not isinstance(found, nn.Module) and callable(found):
        with errors_of(given):
            found = found()
    if not isinstance(found, nn.Module):
        raise UsageError(f"{given} gives {type(found).__name__}; it should be a torch module, or return one")
    return found


def names_in(path: Path | None) -> dict[str, str] | None:
    """A JSON object of names to names, as a dict. Raises `UsageError` for anything else."""
    if path is None:
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise UsageError(f'{path} should be a JSON object of names to names, as {{"norm": "normed"}}')
    return names


@contextmanager
def errors_of(given: str) -> Iterator[None]:
    """Of an error that the user's own code raises: a sentence with its place, as `UsageError`."""
    from parity.arithmetic.lookout import raised_at
    from sharnn_py.errors import SharnnError

    try:
        yield
    except SharnnError:
        raise
    except Exception as error:
        place = raised_at(error.__traceback__)
        raise UsageError(f"{given} stopped with {type(error).__name__} at {place}: {error}") from error


def _named(given: str) -> Any:
    where, colon, name = given.partition(":")
    if not colon or not where or not name:
        raise UsageError(f"{given!r} should name a module and what is in it, as models:make_port")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with errors_of(f"importing {where}"):
            module = importlib.import_module(where)
    except UsageError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and (error.__cause__.name or "") in _parents(where):
            raise UsageError(f"there is no module {where}, neither in {here} nor installed") from error
        raise
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [each for each in vars(found) if not each.startswith("_")]
            there = getattr(module, "__file__", None) or "which has no file"
            raise UsageError(f"{where} ({there}) has no {name!r}; {suggestion(part, public, 'names there')}")
        found = getattr(found, part)
    return found


def _parents(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
