"""One mistake made at every operation of a kind: the gates of all layers, the heads of queries, keys and values."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial

from torch import Tensor

from parity.diagnosis.definition import Operands, Variant
from parity.diagnosis.interpreter import Goal, Interpreter
from parity.diagnosis.variants.site import Site
from parity.subject.scene import Operation

FEW = 4
"""Operations of one kind of which some are tried as well as all."""


def everywhere(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Of the target alone, if there are unrecorded operations of one name before it: each of them computed otherwise.

    A variant of the first that another has in the same words is made at both.
    """
    interpreter, nodes = site.interpreter, site.interpreter.nodes
    if site.node != interpreter.target or len(nodes) < 2 or any(map(interpreter.is_slow, nodes)):
        return
    tried: set[tuple[str, ...]] = set()
    for kind in (_by_words, _by_roles):
        kinds: dict[Hashable, list[str]] = {}
        for node in nodes:
            kinds.setdefault(kind(interpreter.scene.operations[node]), []).append(node)
        for alike in kinds.values():
            for some in _runs(alike):
                if tuple(some) not in tried:
                    tried.add(tuple(some))
                    yield from _together(interpreter, some)


def _by_words(operation: Operation) -> Hashable:
    return operation.name, operation.settings.get("words"), tuple(operation.inputs)


def _by_roles(operation: Operation) -> Hashable:
    return operation.name, tuple(operation.inputs)


def _runs(alike: list[str]) -> Iterator[list[str]]:
    """All of them, and of a few every several that follow one another."""
    if len(alike) > 1:
        yield alike
    if len(alike) <= FEW:
        for length in range(len(alike) - 1, 1, -1):
            yield from (alike[at : at + length] for at in range(len(alike) - length + 1))


def _together(interpreter: Interpreter, alike: list[str]) -> Iterator[Variant]:
    first = interpreter.definition(alike[0])
    assert first is not None
    for variant in first.variants(_anonymous(interpreter.operands(alike[0]))):
        compute = partial(_computed, interpreter, alike, variant.description)
        words = f"{variant.description}, at {_listed(alike)}"
        yield Variant(words, variant.canonical_description, compute, needs_whole_tensor=True)


def _computed(interpreter: Interpreter, alike: list[str], description: str) -> Tensor:
    """The target with the variant of this description at every one of these nodes. Raises `ValueError` for none."""
    changed: dict[str, Tensor] = {}
    found_at = 0
    for node in interpreter.nodes:
        operation = interpreter.scene.operations[node]
        variant = None
        if node in alike:
            definition = interpreter.definition(node)
            operands = _anonymous(interpreter.operands(node, changed))
            found = () if definition is None else definition.variants(operands)
            variant = next((v for v in found if v.description == description), None)
        if node in alike and variant is not None:
            changed[node] = variant.compute()
            found_at += 1
        elif any(source in changed for source in operation.inputs.values()):
            computed = interpreter.computed(node, changed)
            if computed is None:
                raise ValueError(f"{node} cannot be computed of these")
            changed[node] = computed
    if found_at < 2:
        raise ValueError("only one has such a variant")
    return changed[interpreter.target]


def _listed(keys: list[str]) -> str:
    named = keys if len(keys) <= FEW else [keys[0], "others like it", keys[-1]]
    return " and ".join(named)


def _anonymous(operands: Operands) -> Operands:
    """The operands without their keys, so that words that name them are the same at every node."""
    return Operands(operands.tensors, operands.settings, {}, operands.shapes)
