"""Planting a fault in this process, and taking it out again.

A fault is a change of the source of the port or of what serves it, as in a copy that somebody broke: of a function's
text, or of the value of a name. What it changes is imported only when it is planted. An edited function stays the same
object with other code in it, so whoever holds it, under whatever name it was imported, calls the broken one.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pkgutil import resolve_name
from types import FunctionType
from unittest import mock

import msgspec

from sharnn_py.errors import SharnnError


class PlantError(SharnnError):
    """A fault that does not fit this version of the source."""


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of a function's source."""

    where: str
    """The function, as `sharnn_py.layers:LayerNorm.forward`."""
    old: str
    """The text that is replaced, there exactly once; lines are indented as in a function at the margin."""
    new: str


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of the value of a name in a module or class."""

    where: str
    """The name, as `sharnn_py.layers:EPS`."""
    new: str
    """An expression, evaluated in that module, where the name itself still has the old value."""


Change = Edit | Value


@contextmanager
def planted(*changes: Change) -> Iterator[None]:
    """Inside, these changes are made; afterwards all is as it was.

    Raises `PlantError` for a change whose place is not there or no longer reads as it says, and for two in one place.
    """
    if len({change.where for change in changes}) < len(changes):
        raise PlantError(f"two changes are of one place: {[change.where for change in changes]}")
    with ExitStack() as undo:
        for change in changes:
            if isinstance(change, Edit):
                function = _function(change.where)
                undo.callback(setattr, function, "__code__", function.__code__)
                function.__code__ = _edited(function, change).__code__
            else:
                undo.enter_context(_value(change))
        yield


def _resolve(where: str) -> object:
    try:
        found: object = resolve_name(where)
    except (ImportError, AttributeError, ValueError) as error:
        raise PlantError(f"there is no {where}: {error}") from error
    return found


def _function(where: str) -> FunctionType:
    found = _resolve(where)
    if inspect.ismethod(found):  # a class method, bound to its class
        found = found.__func__
    found = inspect.unwrap(found)  # type: ignore[arg-type]
    if not isinstance(found, FunctionType):
        raise PlantError(f"{where} is not a function")
    return found


def _edited(function: FunctionType, edit: Edit) -> FunctionType:
    source = textwrap.dedent(inspect.getsource(function))
    count = source.count(edit.old)
    if count != 1 or edit.new == edit.old:
        raise PlantError(f"the source of {edit.where} has {edit.old!r} {count} times; it must be once, and change")
    tree = ast.parse(source.replace(edit.old, edit.new))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    made: dict[str, FunctionType] = {}
    # As code of this module would be, so that annotations stay text and what they name need not be imported.
    exec(compile(tree, function.__code__.co_filename, "exec"), function.__globals__, made)
    return made[definition.name]


def _value(change: Value) -> mock._patch[object]:
    module, _, path = change.where.partition(":")
    holder, _, name = path.rpartition(".")
    owner = _resolve(f"{module}:{holder}" if holder else module)
    if not hasattr(owner, name):
        raise PlantError(f"there is no {change.where}")
    value = eval(change.new, dict(vars(_resolve(module))))
    return mock.patch.object(owner, name, value)
