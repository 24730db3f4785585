"""One mistake made at every operation of a kind: the gates of all layers, the heads of queries, keys and values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from parity.diagnosis.definition import Operands, Variant
from parity.diagnosis.interpreter import Goal, Interpreter
from parity.diagnosis.variants.site import Site


def everywhere(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Of the target alone, if there are unrecorded operations of one name before it: each of them computed otherwise.

    A variant of the first that another has in the same words is made at both.
    """
    interpreter, nodes = site.interpreter, site.interpreter.nodes
    if site.node != interpreter.target or len(nodes) < 2 or any(map(interpreter.is_slow, nodes)):
        return
    kinds: dict[tuple[str, object], list[str]] = {}
    for node in nodes:
        operation = interpreter.scene.operations[node]
        kinds.setdefault((operation.name, operation.settings.get("words")), []).append(node)
    for alike in kinds.values():
        if len(alike) > 1:
            yield from _together(interpreter, alike)


def _together(interpreter: Interpreter, alike: list[str]) -> Iterator[Variant]:
    first = interpreter.definition(alike[0])
    assert first is not None
    for variant in first.variants(_anonymous(interpreter.operands(alike[0]))):
        compute = partial(_computed, interpreter, alike, variant.description)
        words = f"{variant.description}, at {' and '.join(alike)}"
        yield Variant(words, variant.canonical_description, compute, needs_whole_tensor=True)


def _computed(interpreter: Interpreter, alike: list[str], description: str) -> Tensor:
    """The target with the variant of this description at every one of these nodes. Raises `ValueError` for none."""
    changed: dict[str, Tensor] = {}
    for node in interpreter.nodes:
        operation = interpreter.scene.operations[node]
        if node in alike:
            definition = interpreter.definition(node)
            operands = _anonymous(interpreter.operands(node, changed))
            found = () if definition is None else definition.variants(operands)
            variant = next((v for v in found if v.description == description), None)
            if variant is None:
                raise ValueError(f"{node} has no such variant")
            changed[node] = variant.compute()
        elif any(source in changed for source in operation.inputs.values()):
            computed = interpreter.computed(node, changed)
            if computed is None:
                raise ValueError(f"{node} cannot be computed of these")
            changed[node] = computed
    return changed[interpreter.target]


def _anonymous(operands: Operands) -> Operands:
    """The operands without their keys, so that words that name them are the same at every node."""
    return Operands(operands.tensors, operands.settings, {}, operands.shapes)
