"""Variants of several unrecorded steps at once: a state that none takes up, parameters in each other's place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor

from parity.diagnosis.interpreter import Goal, Interpreter
from parity.diagnosis.operation import Variant
from parity.diagnosis.variants.inputs import first_word


def rewired(machine: Interpreter, site: str, goal: Goal | None) -> Iterator[Variant]:
    """Of the target alone, if steps before it are unrecorded: their inputs zeroed or exchanged together."""
    if site != machine.target or len(machine.sites) < 2 or any(map(machine.is_slow, machine.sites)):
        return
    leaves = _leaves(machine)
    groups: dict[str, list[str]] = {}
    for key in leaves:
        groups.setdefault(first_word(key), []).append(key)
    for keys in groups.values():
        if len(keys) > 1:
            zeros = {key: torch.zeros_like(leaves[key]) for key in keys}
            yield replace(_variant(machine, f"takes zeros for {', '.join(keys)}", zeros), zeros=True)
    for a, b in combinations(leaves, 2):
        if leaves[a].shape == leaves[b].shape:
            yield _variant(machine, f"takes {a} and {b} in each other's place", {a: leaves[b], b: leaves[a]})
    for a, b in combinations(machine.sites, 2):
        for sort in ("", "weight", "bias"):
            exchanged = _parameters_exchanged(machine, leaves, a, b, sort)
            if exchanged:
                what = {"": "parameters", "weight": "weights", "bias": "biases"}[sort]
                yield _variant(machine, f"has the {what} of {a} and {b} in each other's place", exchanged)


def _leaves(machine: Interpreter) -> dict[str, Tensor]:
    """What the chain starts from and no step computes, by key."""
    keys = [key for site in machine.sites for key in machine.scene.operations[site].inputs.values()]
    found = {key: machine.value(key) for key in dict.fromkeys(keys) if key not in machine.scene.operations}
    return {key: tensor for key, tensor in found.items() if tensor is not None and tensor.is_floating_point()}


def _parameters_exchanged(
    machine: Interpreter, leaves: Mapping[str, Tensor], a: str, b: str, sort: str
) -> dict[str, Tensor]:
    """Of two steps of a kind, the values of the roles that begin with `sort`, each under the other's key."""
    first, second = machine.scene.operations[a], machine.scene.operations[b]
    exchanged: dict[str, Tensor] = {}
    for role, key in first.inputs.items():
        other = second.inputs.get(role, "")
        if first.name == second.name and role.startswith(sort) and key != other and key in leaves and other in leaves:
            exchanged |= {key: leaves[other], other: leaves[key]}
    return exchanged


def _variant(machine: Interpreter, description: str, values: Mapping[str, Tensor]) -> Variant:
    def compute() -> Tensor:
        scene = replace(machine.scene, reference={**machine.scene.reference, **values})
        result = Interpreter(scene, machine.target).computed(machine.target)
        if result is None:
            raise ValueError("the exchanged inputs do not fit")
        return result

    return Variant(description, "does not", compute, whole=True)
