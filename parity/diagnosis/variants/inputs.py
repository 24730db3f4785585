"""Generic variants of an operation's inputs: other tensors of the scene, exchanged, left out or transformed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant
from parity.diagnosis.interpreter import attempt
from parity.diagnosis.matching import equals
from parity.diagnosis.operations import OPERATIONS
from parity.diagnosis.variants import transforms
from parity.diagnosis.variants.site import Site, axis_names
from parity.diagnosis.variants.transforms import Transform
from parity.subject.scene import Operation

SHAPE_KEEPING = ("layer_norm", "activation", "product", "linear")
"""Operations that may be applied to a tensor once more without changing its shape."""


def skipped(site: Site) -> Iterator[Variant]:
    """The operation left out: an input of the result's shape in place of the result."""
    for role, tensor in site.floats.items():
        reshaping = site.operation.name in ("reduced", "move", "call") and site.node != site.interpreter.target
        if (tensor.shape == site.result.shape and not torch.equal(tensor, site.result)) or (
            reshaping and tensor.shape != site.result.shape
        ):
            words = in_words(site.operation)
            description = f"leaves this operation out (the {words}) and gives {site.name(role)} as it is"
            yield Variant(description, "does not", tensor.clone)


def replaced(site: Site) -> Iterator[Variant]:
    """A function of an input in the place of the operation."""
    for role, tensor in site.floats.items():
        if tensor.shape == site.result.shape and role not in site.leaves and site.operation.name != "activation":
            for t in transforms.functions():
                left_out = f"leaves this operation out (the {in_words(site.operation)})"
                yield Variant(
                    f"{left_out} and gives {site.name(role)} {t.phrase}", "does not", partial(t.apply, tensor)
                )


def in_words(operation: Operation) -> str:
    """What an operation is called in hints."""
    return operation.name.replace("_", " ")


def other_inputs(site: Site) -> Iterator[Variant]:
    """Another tensor in an input's place: any earlier one; but for a parameter or a state, only another such."""
    operations = site.scene.operations
    for role, own in site.operands.tensors.items():
        name = site.name(role)
        for key, tensor in site.earlier.items():
            constant = ":" in name  # of a module, between its submodules
            if key == name or (key in operations and name not in operations and not constant):
                continue
            other = site.interpreter.window.as_input(site.node, role, tensor)
            turned = other.shape != own.shape and other.ndim == 2 and other.mT.shape == own.shape
            other = other.mT if turned else other
            if other.shape != own.shape or other.is_floating_point() != own.is_floating_point():
                continue
            other = other.to(own.dtype)
            if not torch.equal(other, own):
                description = f"takes {key}{' transposed' if turned else ''}"
                yield site.with_inputs(description, f"takes {name}", {role: other})


def started(site: Site) -> Iterator[Variant]:
    """A recurrent step from zeros that starts from another tensor of the scene."""
    weight = site.floats.get("weight_hh")
    if weight is None or "h" in site.floats or "x" not in site.floats:
        return
    shape = (site.floats["x"].shape[1], weight.shape[1])
    for key, tensor in site.earlier.items():
        if tensor.shape == shape and tensor.is_floating_point():
            state = {"h": tensor.to(torch.float64)}
            yield Variant(f"starts from {key}", "from zeros", partial(site.computed, site.operands.having(**state)))


def fits(other: Tensor, tensor: Tensor) -> bool:
    """Whether it can be added to a tensor without changing that one's shape."""
    pairs = zip(other.shape[::-1], tensor.shape[::-1], strict=False)
    return other.numel() > 1 and other.ndim <= tensor.ndim and all(a in (1, b) for a, b in pairs)


def groups(site: Site) -> list[list[str]]:
    """The inputs that no operation computes, in groups of several of a sort: the parameters, the state."""
    return of_a_sort({role: site.name(role) for role in site.leaves})


def of_a_sort(names: Mapping[str, str]) -> list[list[str]]:
    """Groups of several whose names begin alike, up to the first dot, slash or space."""
    found: dict[str, list[str]] = {}
    for thing, name in names.items():
        found.setdefault(re.split(r"[/. ]", name)[0], []).append(thing)
    return [things for things in found.values() if len(things) > 1]


def siblings(site: Site) -> Iterator[Variant]:
    """All parameters, or all that is carried, of another operation of the same name."""
    for roles in groups(site):
        for key, other in site.scene.operations.items():
            if key == site.node or other.name != site.operation.name:
                continue
            found = {role: site.interpreter.value(other.inputs[role]) for role in roles if role in other.inputs}
            taken = {r: t.to(torch.float64) for r, t in found.items() if t is not None}
            if len(taken) == len(roles) and all(t.shape == site.floats[r].shape for r, t in taken.items()):
                description = f"takes {', '.join(other.inputs[role] for role in roles)} (of {key})"
                yield site.with_inputs(description, "its own", taken)


def exchanged(site: Site) -> Iterator[Variant]:
    """Two inputs of the same shape exchanged."""
    for second, first in combinations(site.floats, 2):
        a, b = site.floats[first], site.floats[second]
        if a.shape == b.shape and not torch.equal(a, b):
            description = f"takes {site.name(second)} and {site.name(first)} in each other's place"
            yield site.with_inputs(description, "does not", {first: b, second: a})


def missing(site: Site) -> Iterator[Variant]:
    """An input left out, or replaced by zeros or ones."""
    for role, tensor in site.floats.items():
        name = site.name(role)
        yield Variant(f"leaves {name} out", "takes it", partial(site.computed, site.operands.without(role)))
        yield site.with_inputs(f"takes zeros for {name}", "itself", {role: torch.zeros_like(tensor)}, zeros=True)
        yield site.with_inputs(f"takes ones for {name}", "itself", {role: torch.ones_like(tensor)})


def transformed(site: Site) -> Iterator[Variant]:
    """One input, or all of a sort, reversed, shifted, transposed, scaled, or put through a function."""
    for role, tensor in site.operands.tensors.items():
        found = list(transforms.moves(tensor.shape, axis_names(site.scene, site.name(role), tensor.ndim)))
        if tensor.is_floating_point():
            found = [*transforms.scalings(site.sizes(tensor)), *transforms.functions(), *found]
        yield from through(site, [role], found)
    for roles in groups(site):
        shape = site.floats[roles[0]].shape
        found = [*transforms.scalings(()), *transforms.functions(), *transforms.roundings()]
        if all(site.floats[role].shape == shape for role in roles):
            found += transforms.moves(shape, axis_names(site.scene, site.name(roles[0]), len(shape)))
        yield from through(site, roles, found)


def through(site: Site, roles: Sequence[str], found: Iterable[Transform], names: str = "") -> Iterator[Variant]:
    """The inputs of some roles, by their own names unless others are given, put through each transform."""
    as_is = "as it is" if len(roles) == 1 and not names else "as they are"
    for t in found:
        if not t.needs_whole_tensor or site.interpreter.window.covers_all:
            compute = partial(site.computed, site.operands.mapped(t.apply, *roles))
            yield Variant(f"takes {names or site.names(roles)} {t.phrase}", as_is, compute)


def added_to(site: Site) -> Iterator[Variant]:
    """Another tensor of the scene added to what an operation takes."""
    for role, own in site.floats.items():
        for key, tensor in site.earlier.items() if role not in site.leaves else ():
            other = site.interpreter.window.as_input(site.node, role, tensor)
            if other.is_floating_point() and fits(other, own):
                description = f"adds {key} to {site.name(role)} first"
                yield site.with_inputs(description, "does not", {role: own + other.to(own.dtype)})


def applied_first(site: Site) -> Iterator[Variant]:
    """One more operation of the scene, applied to an input or to the result."""
    for key, operation in site.scene.operations.items():
        definition = site.interpreter.definition(key)
        if definition is None or operation.name not in SHAPE_KEEPING:
            continue
        found = {role: site.interpreter.value(name) for role, name in operation.inputs.items() if role != "x"}
        others = {role: tensor for role, tensor in found.items() if tensor is not None}
        again = partial(_again, definition, Operands(others, operation.settings))
        words = f"applies {key} ({in_words(operation)})"
        yield Variant(f"{words} to its result", "does not", partial(again, site.result))
        for role, tensor in site.floats.items():
            if tensor.ndim > 1 and role not in site.leaves:
                compute = partial(_after, site, again, role)
                yield Variant(f"{words} to {site.name(role)} first", "does not", compute)


def _again(definition: OperationDefinition, others: Operands, x: Tensor) -> Tensor:
    return definition.compute(others.having(x=x))


def _after(site: Site, again: Callable[[Tensor], Tensor], role: str) -> Tensor:
    return site.computed(site.operands.mapped(again, role))


def held_otherwise(site: Site) -> dict[str, Tensor]:
    """By role, the parameters that the subject holds and that differ from the reference's."""
    found: dict[str, Tensor] = {}
    for role in site.leaves:
        held = site.scene.subject.get(site.name(role))
        if held is not None and held.shape == site.operands.shape(role):
            held = site.interpreter.window.as_input(site.node, role, held).to(torch.float64)
            if not torch.equal(held, site.floats[role]):
                found[role] = held
    return found


def own_parameter(site: Site) -> Iterator[Variant]:
    """One parameter as the subject holds it, with how it comes from the recorded one, if that is found."""
    for role, held in held_otherwise(site).items():
        description = f"holds another {site.name(role)}{_of_recorded(site.floats[role], held)}"
        yield site.with_inputs(description, "the one recorded", {role: held})


def _of_recorded(recorded: Tensor, held: Tensor) -> str:
    """How the subject's parameter comes from the recorded one, in words; empty if that is not found."""
    for variant in OPERATIONS["parameter"].variants(Operands({"x": recorded})):
        value = attempt(variant.compute)
        if value is not None and equals(value, held):
            return f", which {variant.description}"
    sizes = recorded.shape
    for t in (*transforms.scalings(sizes), *transforms.roundings(), *transforms.fitted(recorded, held, sizes)):
        if equals(t.apply(recorded), held):
            return f", which is the recorded one {t.phrase}"
    return ""
