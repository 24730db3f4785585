"""Generic variants of what a step takes: other tensors of the scene, inputs exchanged, left out or transformed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from parity.diagnosis.interpreter import attempt
from parity.diagnosis.matching import equals
from parity.diagnosis.operation import Operands, Variant
from parity.diagnosis.operations.parameter import PARAMETER
from parity.diagnosis.variants import transforms
from parity.diagnosis.variants.site import Here, axis_names
from parity.diagnosis.variants.transforms import Transform

SHAPE_KEEPING = ("layer_norm", "activation", "product", "linear")
"""Kinds of steps that may be applied to a tensor once more without changing its shape."""


def skipped(here: Here) -> Iterator[Variant]:
    """An input of the result's shape as the result."""
    words = here.scene.operations[here.site].name.replace("_", " ")
    for role, tensor in here.floats.items():
        if tensor.shape == here.result.shape and not torch.equal(tensor, here.result):
            description = f"leaves this step out (the {words}) and gives {here.name(role)} as it is"
            yield Variant(description, "does not", tensor.clone)


def other_inputs(here: Here) -> Iterator[Variant]:
    """Another tensor in an input's place: for what a step computes any that is there before, else no other such."""
    window, steps = here.machine.window, here.scene.operations
    for role, own in here.operands.tensors.items():
        name = here.name(role)
        for key, tensor in {**here.scene.subject, **here.scene.reference}.items():
            if key in (name, here.site) or not here.precedes(key) or (key in steps and name not in steps):
                continue
            other = window.as_input(here.site, role, tensor)
            turned = other.shape != own.shape and other.ndim == 2 and other.mT.shape == own.shape
            other = other.mT if turned else other
            if other.shape != own.shape or other.is_floating_point() != own.is_floating_point():
                continue
            other = other.to(own.dtype)
            if not torch.equal(other, own):
                description = f"takes {key}{' transposed' if turned else ''}"
                yield here.with_inputs(description, f"takes {name}", {role: other})


def groups(here: Here) -> list[list[str]]:
    """The inputs that no step computes, as far as there are several of a sort: the parameters, the state."""
    found: dict[str, list[str]] = {}
    for role in here.leaves:
        found.setdefault(first_word(here.name(role)), []).append(role)
    return [roles for roles in found.values() if len(roles) > 1]


def siblings(here: Here) -> Iterator[Variant]:
    """All parameters, or all that is carried, of another step of the same kind."""
    for roles in groups(here):
        for key, other in here.scene.operations.items():
            if key == here.site or other.name != here.scene.operations[here.site].name:
                continue
            found = {role: here.machine.value(other.inputs[role]) for role in roles if role in other.inputs}
            taken = {r: t.to(torch.float64) for r, t in found.items() if t is not None}
            if len(taken) == len(roles) and all(t.shape == here.floats[r].shape for r, t in taken.items()):
                description = f"takes {', '.join(other.inputs[role] for role in roles)} (of {key})"
                yield here.with_inputs(description, "its own", taken)


def first_word(key: str) -> str:
    """What a key begins with, up to the first dot, slash or space: what sort of thing it is of."""
    return re.split(r"[/. ]", key)[0]


def exchanged(here: Here) -> Iterator[Variant]:
    """Two inputs of the same shape."""
    for second, first in combinations(here.floats, 2):
        a, b = here.floats[first], here.floats[second]
        if a.shape == b.shape and not torch.equal(a, b):
            description = f"takes {here.name(second)} and {here.name(first)} in each other's place"
            yield here.with_inputs(description, "does not", {first: b, second: a})


def missing(here: Here) -> Iterator[Variant]:
    """An input left out, or nothing but zeros or ones."""
    for role, tensor in here.floats.items():
        name = here.name(role)
        without = here.operands.without(role)
        yield Variant(f"leaves {name} out", "takes it", partial(here.kind.compute, without))
        yield here.with_inputs(f"takes zeros for {name}", "itself", {role: torch.zeros_like(tensor)}, zeros=True)
        yield here.with_inputs(f"takes ones for {name}", "itself", {role: torch.ones_like(tensor)})


def transformed(here: Here) -> Iterator[Variant]:
    """One input, or all of a sort, reversed, shifted, transposed, scaled, or put through a function."""
    for role, tensor in here.operands.tensors.items():
        found = list(transforms.moves(tensor.shape, axis_names(here.scene, here.name(role), tensor.ndim)))
        if tensor.is_floating_point():
            found = [*transforms.scalings(here.sizes(tensor)), *transforms.functions(), *found]
        yield from _through(here, [role], found)
    for roles in groups(here):
        shape = here.floats[roles[0]].shape
        found = [*transforms.scalings(()), *transforms.functions(), *transforms.roundings()]
        if all(here.floats[role].shape == shape for role in roles):
            found += transforms.moves(shape, axis_names(here.scene, here.name(roles[0]), len(shape)))
        yield from _through(here, roles, found)


def _through(here: Here, roles: list[str], found: list[Transform]) -> Iterator[Variant]:
    names = ", ".join(here.name(role) for role in roles)
    canonical_description = "as it is" if len(roles) == 1 else "as they are"
    for t in found:
        if not t.whole or here.machine.window.open:
            changed = {role: t.apply(here.operands.tensors[role]) for role in roles}
            yield here.with_inputs(f"takes {names} {t.phrase}", canonical_description, changed)


def added_to(here: Here) -> Iterator[Variant]:
    """Another tensor of the scene added to what a step takes."""
    for role, own in here.floats.items():
        if role in here.leaves:
            continue
        for key, tensor in {**here.scene.subject, **here.scene.reference}.items():
            other = here.machine.window.as_input(here.site, role, tensor)
            if here.precedes(key) and key != here.site and other.shape == own.shape and other.is_floating_point():
                description = f"adds {key} to {here.name(role)} first"
                yield here.with_inputs(description, "does not", {role: own + other.to(own.dtype)})


def applied_first(here: Here) -> Iterator[Variant]:
    """One more step of the scene, applied to an input or to the result."""
    for key, step in here.scene.operations.items():
        kind = here.machine.kind(key)
        if kind is None or step.name not in SHAPE_KEEPING:
            continue
        found = {role: here.machine.value(name) for role, name in step.inputs.items() if role != "x"}
        others = {role: tensor for role, tensor in found.items() if tensor is not None}

        def again(x: Tensor, at: Here = here, step=step, kind=kind, others=others) -> Tensor:  # type: ignore[no-untyped-def]
            return kind.compute(Operands({"x": x, **others}, step.settings))  # type: ignore[no-any-return]

        words = f"applies {key} ({step.name.replace('_', ' ')})"
        yield Variant(f"{words} to its result", "does not", partial(again, here.result))
        for role, tensor in here.floats.items():
            if tensor.ndim > 1 and role not in here.leaves:
                compute = partial(_with_one, here, role, partial(again, tensor))
                yield Variant(f"{words} to {here.name(role)} first", "does not", compute)


def _with_one(here: Here, role: str, made: partial[Tensor]) -> Tensor:
    return here.kind.compute(here.operands.having(**{role: made()}))


def held_otherwise(here: Here) -> dict[str, Tensor]:
    """By role, what the subject itself holds where the reference has something else."""
    found: dict[str, Tensor] = {}
    for role in here.leaves:
        held = here.scene.subject.get(here.name(role))
        if held is not None and held.shape == here.operands.shape(role):
            held = here.machine.window.as_input(here.site, role, held).to(torch.float64)
            if not torch.equal(held, here.floats[role]):
                found[role] = held
    return found


def own_parameter(here: Here) -> Iterator[Variant]:
    """One parameter as the subject holds it, and what that is of the recorded one, if it is plain."""
    for role, held in held_otherwise(here).items():
        description = f"holds another {here.name(role)}{_of_recorded(here.floats[role], held)}"
        yield here.with_inputs(description, "the one recorded", {role: held})


def _of_recorded(recorded: Tensor, held: Tensor) -> str:
    """What a parameter that is held is of the recorded one."""
    for variant in PARAMETER.variants(Operands({"x": recorded})):
        value = attempt(variant.compute)
        if value is not None and equals(value, held):
            return f", which {variant.description}"
    sizes = recorded.shape
    for t in (*transforms.scalings(sizes), *transforms.roundings(), *transforms.fitted(recorded, held, sizes)):
        if equals(t.apply(recorded), held):
            return f", which is the recorded one {t.phrase}"
    return ""
