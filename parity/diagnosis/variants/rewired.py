"""Variants of several unrecorded operations at once: a state that none of them uses, parameters exchanged."""

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
    """Variants for the target, if operations before it are unrecorded: their inputs zeroed or exchanged together."""
    interpreter, nodes = site.interpreter, site.interpreter.nodes
    if site.node != interpreter.target or len(nodes) < 2 or any(map(interpreter.is_slow, nodes)):
        return
    leaves = _leaves(interpreter)
    for keys in of_a_sort({key: key for key in leaves}):
        zeros = {key: torch.zeros_like(leaves[key]) for key in keys}
        yield replace(rewired_variant(interpreter, f"takes zeros for {', '.join(keys)}", zeros), zeros=True)
    for a, b in combinations(leaves, 2):
        if leaves[a].shape == leaves[b].shape:
            yield rewired_variant(interpreter, f"takes {a} and {b} in each other's place", {a: leaves[b], b: leaves[a]})
    for a, b in combinations(nodes, 2):
        for sort, what in (("", "parameters"), ("weight", "weights"), ("bias", "biases")):
            exchanged = _parameters_exchanged(interpreter, leaves, a, b, sort)
            if exchanged:
                yield rewired_variant(interpreter, f"has the {what} of {a} and {b} in each other's place", exchanged)


def _leaves(interpreter: Interpreter) -> dict[str, Tensor]:
    """By key, the tensors that the chain starts from and no operation computes."""
    keys = [key for node in interpreter.nodes for key in interpreter.scene.operations[node].inputs.values()]
    found = {key: interpreter.value(key) for key in dict.fromkeys(keys) if key not in interpreter.scene.operations}
    return {key: tensor for key, tensor in found.items() if tensor is not None and tensor.is_floating_point()}


def _parameters_exchanged(
    interpreter: Interpreter, leaves: Mapping[str, Tensor], a: str, b: str, sort: str
) -> dict[str, Tensor]:
    """For two operations of one name, the values of the roles that begin with `sort`, each under the other's key."""
    first, second = interpreter.scene.operations[a], interpreter.scene.operations[b]
    exchanged: dict[str, Tensor] = {}
    for role, key in first.inputs.items():
        other = second.inputs.get(role, "")
        if first.name == second.name and role.startswith(sort) and key != other and key in leaves and other in leaves:
            exchanged |= {key: leaves[other], other: leaves[key]}
    return exchanged


def rewired_variant(interpreter: Interpreter, description: str, values: Mapping[str, Tensor]) -> Variant:
    """The target with other values under some keys before it."""

    def compute() -> Tensor:
        result = interpreter.through(values, interpreter.target)
        if result is None:
            raise ValueError("the exchanged inputs do not fit")
        return result

    return Variant(description, "does not", compute, needs_whole_tensor=True)
