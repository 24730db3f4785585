"""Tensors inside other values: the inputs, outputs and states of any module, whatever types they are of.

What can be opened: every type that torch's pytree knows (lists, tuples, dicts, named tuples, the outputs of Hugging
Face's models, types that a library registers there), subclasses of these, and dataclasses. A state may besides be any
object with tensors in its attributes, as a cache of keys and values is. Of several entries each has its place behind
the name of the whole: `.0` in a list or tuple (none in one of a single entry), `.key` in a mapping, `.attribute`
otherwise.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from parity.subject.gradient_probe import Note


@dataclass(frozen=True)
class Opened:
    """A value as its entries, and how the same is made of others."""

    keys: list[Any]
    places: list[str]
    """What stands behind the name of the whole for each entry."""
    entries: list[Any]
    rebuilt: Callable[[list[Any]], Any]


def opened(value: Any) -> Opened | None:
    """The entries of a container or dataclass; None of anything else."""
    definition = _pytree.SUPPORTED_NODES.get(_pytree._get_node_type(value))
    if definition is not None:
        entries, context = definition.flatten_fn(value)
        entries = list(entries)
        keys = _keys(value, entries, context)
        return Opened(keys, _places(value, keys), entries, lambda new: definition.unflatten_fn(new, context))
    if isinstance(value, dict):
        keys = list(value)
        return Opened(keys, _places(value, keys), list(value.values()), lambda new: _with_items(value, keys, new))
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        keys = list(range(len(value)))
        return Opened(keys, _places(value, keys), list(value), type(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _attributes(value, [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)])
    return None


def _keys(value: Any, entries: list[Any], context: Any) -> list[Any]:
    """A mapping's keys; of a type that was registered with names, those; else numbers."""
    if isinstance(value, dict):
        return list(value)
    if isinstance(context, (list, tuple)) and len(context) == len(entries) and all(isinstance(k, str) for k in context):
        return list(context)
    return list(range(len(entries)))


def _places(value: Any, keys: list[Any]) -> list[str]:
    alone = len(keys) == 1 and isinstance(value, (list, tuple))
    return [""] if alone else [f".{key}" for key in keys]


def _with_items(value: Any, keys: list[Any], entries: list[Any]) -> Any:
    other = copy.copy(value)
    for key, entry in zip(keys, entries, strict=True):
        other[key] = entry
    return other


def _attributes(value: Any, names: list[str]) -> Opened:
    def rebuilt(entries: list[Any]) -> Any:
        other = copy.copy(value)
        for name, entry in zip(names, entries, strict=True):
            object.__setattr__(other, name, entry)
        return other

    return Opened(names, [f".{name}" for name in names], [getattr(value, name) for name in names], rebuilt)


def passed_on(value: Any, name: str, change: Note) -> Any:
    """The same value with every floating-point tensor in it changed; `name` grows by the places on the way to it.

    Between submodules a list or dict may be what a submodule writes its results to. So it stays the same object, as
    does everything in which no tensor was changed.
    """
    if isinstance(value, Tensor):
        return change(name, value) if value.is_floating_point() else value
    found = opened(value)
    if found is None:
        return value
    entries = [passed_on(e, f"{name}{place}", change) for place, e in zip(found.places, found.entries, strict=True)]
    if all(new is old for new, old in zip(entries, found.entries, strict=True)):
        return value
    if not isinstance(value, (dict, list)):
        return found.rebuilt(entries)
    for key, entry in zip(found.keys, entries, strict=True):
        value[key] = entry
    return value


def mapped(value: Any, name: str, change: Note) -> Any:
    """A copy of a value, down into objects' attributes, with every floating-point tensor in it changed.

    Nothing that the copy consists of but tensors that `change` returns as they are is part of the original, so that a
    cache which a module goes on to fill leaves the one that it was copied from as it is.
    """
    return _Copy(change).of(value, name)


class _Copy:
    def __init__(self, change: Note) -> None:
        self.change = change
        self.objects: dict[int, Any] = {}
        """The copies of objects, which may refer to each other in circles."""
        self.homes: set[str] = set()
        """The Python modules that define objects with tensors: what else they define, such as a cache's layers that are
        still empty, is copied as well."""

    def of(self, value: Any, name: str) -> Any:
        if isinstance(value, Tensor):
            return self.change(name, value) if value.is_floating_point() else value
        found = opened(value)
        if found is not None:
            places = zip(found.places, found.entries, strict=True)
            return found.rebuilt([self.of(entry, f"{name}{place}") for place, entry in places])
        if not _has_attributes(value):
            return value
        if _holds(value, set()):
            self.homes.add(type(value).__module__)
        if type(value).__module__ not in self.homes:
            return value
        if id(value) not in self.objects:
            other = self.objects[id(value)] = copy.copy(value)
            for attribute, entry in list(vars(value).items()):
                object.__setattr__(other, attribute, self.of(entry, f"{name}.{attribute}"))
        return self.objects[id(value)]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in a nested value, in order; objects are not opened."""
    if isinstance(value, Tensor):
        yield value
    elif (found := opened(value)) is not None:
        for entry in found.entries:
            yield from tensors_in(entry)


def _has_attributes(value: Any) -> bool:
    """Whether it is an instance of a class of somebody's, with attributes of its own that may hold tensors."""
    return hasattr(value, "__dict__") and not callable(value) and not isinstance(value, (nn.Module, Enum))


def _holds(value: Any, seen: set[int]) -> bool:
    """Whether there is a tensor anywhere inside."""
    if isinstance(value, Tensor):
        return True
    if id(value) in seen:
        return False
    seen.add(id(value))
    found = opened(value)
    entries = found.entries if found is not None else vars(value).values() if _has_attributes(value) else ()
    return any(_holds(entry, seen) for entry in entries)
