"""Variants of several unrecorded operations at once: a state that none takes up, parameters in each other's place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import Goal, Interpreter
from parity.diagnosis.variants.inputs import of_a_sort
from parity.diagnosis.variants.site import Site


def rewired(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Of the target alone, if operations before it are unrecorded: their inputs zeroed or exchanged together."""
    interpreter, nodes = site.interpreter, site.interpreter.nodes
    if site.node != interpreter.target or len(nodes) < 2 or any(map(interpreter.is_slow, nodes)):
        return
    leaves = _leaves(interpreter)
    for keys in of_a_sort({key: key for key in leaves}):
        zeros = {key: torch.zeros_like(leaves[key]) for key in keys}
        yield replace(_variant(interpreter, f"takes zeros for {', '.join(keys)}", zeros), zeros=True)
    for a, b in combinations(leaves, 2):
        if leaves[a].shape == leaves[b].shape:
            yield _variant(interpreter, f"takes {a} and {b} in each other's place", {a: leaves[b], b: leaves[a]})
    yield from _parts_exchanged(interpreter)
    yield from _leaves_regrouped(interpreter, leaves)
    for a, b in combinations(nodes, 2):
        for sort, what in (("", "parameters"), ("weight", "weights"), ("bias", "biases")):
            exchanged = _parameters_exchanged(interpreter, leaves, a, b, sort)
            if exchanged:
                yield _variant(interpreter, f"has the {what} of {a} and {b} in each other's place", exchanged)


def _leaves(interpreter: Interpreter) -> dict[str, Tensor]:
    """What the chain starts from and no operation computes, by key."""
    keys = [key for node in interpreter.nodes for key in interpreter.scene.operations[node].inputs.values()]
    found = {key: interpreter.value(key) for key in dict.fromkeys(keys) if key not in interpreter.scene.operations}
    return {key: tensor for key, tensor in found.items() if tensor is not None and tensor.is_floating_point()}


def _parameters_exchanged(
    interpreter: Interpreter, leaves: Mapping[str, Tensor], a: str, b: str, sort: str
) -> dict[str, Tensor]:
    """Of two operations of one name, the values of the roles that begin with `sort`, each under the other's key."""
    first, second = interpreter.scene.operations[a], interpreter.scene.operations[b]
    exchanged: dict[str, Tensor] = {}
    for role, key in first.inputs.items():
        other = second.inputs.get(role, "")
        if first.name == second.name and role.startswith(sort) and key != other and key in leaves and other in leaves:
            exchanged |= {key: leaves[other], other: leaves[key]}
    return exchanged


def _parts_exchanged(interpreter: Interpreter) -> Iterator[Variant]:
    """Unrecorded tensors of one shape that neither comes from the other, in each other's place; three in turn."""
    operations, found = interpreter.scene.operations, {}
    for node in interpreter.nodes[:-1]:
        value = interpreter.value(node)
        if value is not None and value.is_floating_point():
            found[node] = value
    alike = {
        (a, b)
        for a, b in combinations(found, 2)
        if operations[a].name == operations[b].name and found[a].shape == found[b].shape
    }
    alike = {(a, b) for a, b in alike if a not in _before(interpreter, b)}
    for a, b in combinations(found, 2):
        if (a, b) in alike:
            words = f"takes {a} and {b} in each other's place"
            yield _variant(interpreter, words, {a: found[b], b: found[a]})
    for a, b, c in combinations(found, 3):
        if {(a, b), (a, c), (b, c)} <= alike:
            for x, y, z in ((b, c, a), (c, a, b)):
                words = f"takes {x}, {y} and {z} in the place of {a}, {b} and {c} (another order)"
                yield _variant(interpreter, words, {a: found[x], b: found[y], c: found[z]})


def _before(interpreter: Interpreter, key: str) -> set[str]:
    """The unrecorded operations that a key comes from."""
    found: set[str] = set()
    left = [key]
    while left:
        operation = interpreter.scene.operations.get(left.pop())
        for source in () if operation is None else operation.inputs.values():
            if source in interpreter.nodes and source not in found:
                found.add(source)
                left.append(source)
    return found


def _leaves_regrouped(interpreter: Interpreter, leaves: Mapping[str, Tensor]) -> Iterator[Variant]:
    """The last axis of what a split or a view takes, in blocks of another order or interleaved."""
    operations = interpreter.scene.operations
    taken = {key for node in interpreter.nodes if operations[node].name == "move" for key in operations[node].inputs.values()}
    for key in interpreter.sources:
        value = interpreter.value(key)
        if key not in taken or value is None or not value.is_floating_point() or value.ndim < 2:
            continue
        width = value.shape[-1]
        for count in (n for n in range(2, width // 2 + 1) if width % n == 0):
            places = torch.arange(width).reshape(count, -1).mT.flatten()
            words = f"takes {key} with its last axis interleaved, one of each of {count} blocks in turn"
            yield _variant(interpreter, words, {key: value.index_select(-1, places)})
        for inner in (n for n in range(2, width // 4 + 1) if width % n == 0):
            for count in (n for n in range(2, width // inner // 2 + 1) if (width // inner) % n == 0):
                places = torch.arange(width).reshape(count, -1, inner).transpose(0, 1).flatten()
                words = f"takes {key} with groups of {inner} of its last axis interleaved, one of each of {count} blocks in turn"
                yield _variant(interpreter, words, {key: value.index_select(-1, places)})


def _variant(interpreter: Interpreter, description: str, values: Mapping[str, Tensor]) -> Variant:
    def compute() -> Tensor:
        result = interpreter.through(values, interpreter.target)
        if result is None:
            raise ValueError("the exchanged inputs do not fit")
        return result

    return Variant(description, "does not", compute, needs_whole_tensor=True)
