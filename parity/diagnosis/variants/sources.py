"""Other tensors under the keys that a chain of unrecorded operations starts from or goes through.

What one operation takes otherwise is among the generic variants; here it is what all that take a tensor do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import Goal, Interpreter
from parity.diagnosis.matching import equals
from parity.diagnosis.variants import transforms
from parity.diagnosis.variants.inputs import fits
from parity.diagnosis.variants.rewired import rewired_variant
from parity.diagnosis.variants.site import Site


def sources(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Of the target alone: what its chain starts from, put through a function, added to, exchanged, regrouped."""
    interpreter = site.interpreter
    if site.node != interpreter.target or any(map(interpreter.is_slow, interpreter.nodes)):
        return
    computed = _computed_sources(interpreter)
    yield from _parts_exchanged(interpreter)
    yield from _regrouped(interpreter)
    for key, tensor in computed.items():
        yield from _function_of(site, key, tensor)
        for t in (*transforms.scalings(tensor.shape), *transforms.functions()):
            yield rewired_variant(interpreter, f"takes {key} {t.phrase}", {key: t.apply(tensor)})
    yield from _reruns(site)
    for name, other in _others(interpreter).items():
        if fits(other, site.result) and not name.endswith(".in"):
            yield Variant(f"multiplies its result by {name}", "does not", partial(torch.mul, site.result, other))
            yield Variant(f"adds {name} to its result", "does not", partial(torch.add, site.result, other))
    for key, tensor in computed.items():
        others = {name: other for name, other in _others(interpreter).items() if name != key}
        for name, other in others.items():
            if fits(other, tensor) and not name.endswith(".in"):
                yield rewired_variant(interpreter, f"adds {name} to {key} first", {key: tensor + other})
                if name.startswith("parameter "):
                    yield rewired_variant(interpreter, f"multiplies {key} by {name} first", {key: tensor * other})
        for name, applied in _submodules(interpreter, tensor).items():
            yield rewired_variant(interpreter, f"applies {name} to {key} first", {key: applied})
        for name, other in others.items():
            if other.shape == tensor.shape and not torch.equal(other, tensor):
                yield rewired_variant(interpreter, f"takes {name} in the place of {key}", {key: other})
        for name, other in others.items():
            if fits(other, tensor) and name.endswith(".in"):
                yield rewired_variant(interpreter, f"adds {name} to {key} first", {key: tensor + other})


def _reruns(site: Site) -> Iterator[Variant]:
    """The target as the subject computes it where something about it is set otherwise."""
    for (words, canonical), run in site.scene.reruns.items():
        yield Variant(words, canonical, partial(_unlike, site, run), needs_whole_tensor=True)


def _unlike(site: Site, run: Callable[[], Tensor]) -> Tensor:
    """What a run gives. Raises `ValueError` where that is what the subject gives anyway."""
    value = run()
    if equals(value, site.scene.subject[site.node]):
        raise ValueError("it makes no difference")
    return value


def _computed_sources(interpreter: Interpreter) -> dict[str, Tensor]:
    """What the chain starts from but for parameters and constants."""
    found = {}
    for key in interpreter.sources:
        value = interpreter.value(key)
        known = key in interpreter.scene.operations or key.startswith("input.")
        if known and value is not None and value.is_floating_point():
            found[key] = value
    return found


def _others(interpreter: Interpreter) -> dict[str, Tensor]:
    """Whatever was recorded, in the order of the subject's run, and then what the subject does not compute."""
    scene = interpreter.scene
    parameters = {k: t for k, t in scene.subject.items() if k.startswith("parameter ")}
    known = {**parameters, **scene.reference}
    recorded = {**{k: t for k, t in known.items() if k != interpreter.target}, **scene.unmatched}
    return {key: t.to(torch.float64) for key, t in recorded.items() if t.is_floating_point()}


def _function_of(site: Site, key: str, tensor: Tensor) -> Iterator[Variant]:
    """A function of a source in the place of all that follows it."""
    if len(site.interpreter.nodes) > 1 and tensor.shape == site.result.shape:
        from parity.diagnosis.operations.activation import FUNCTIONS

        for words, function in FUNCTIONS.values():
            yield Variant(f"gives {words} of {key}", "does not", partial(function, tensor))


def _submodules(interpreter: Interpreter, tensor: Tensor) -> dict[str, Tensor]:
    """What comes of a tensor in the place of the only one that a recorded operation starts from."""
    scene, found = interpreter.scene, {}
    for key in scene.operations:
        if key in scene.reference and key != interpreter.target and scene.reference[key].shape == tensor.shape:
            other = Interpreter(scene, key)
            inputs = _computed_sources(other)
            if len(inputs) == 1 and next(iter(inputs.values())).shape == tensor.shape:
                applied = other.through({next(iter(inputs)): tensor}, key)
                if applied is not None and applied.shape == tensor.shape:
                    found[key] = applied
    return found


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
            yield rewired_variant(interpreter, words, {a: found[b], b: found[a]})
    for a, b, c in combinations(found, 3):
        if {(a, b), (a, c), (b, c)} <= alike:
            for x, y, z in ((b, c, a), (c, a, b)):
                words = f"takes {x}, {y} and {z} in the place of {a}, {b} and {c} (another order)"
                yield rewired_variant(interpreter, words, {a: found[x], b: found[y], c: found[z]})


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


def _regrouped(interpreter: Interpreter) -> Iterator[Variant]:
    """The last axis of what a split or a view takes, in blocks of another order or interleaved."""
    operations = interpreter.scene.operations
    taken = {
        key for node in interpreter.nodes if operations[node].name == "move" for key in operations[node].inputs.values()
    }
    for key in interpreter.sources:
        value = interpreter.value(key)
        if key not in taken or value is None or not value.is_floating_point() or value.ndim < 2:
            continue
        width = value.shape[-1]
        for count in (n for n in range(2, width // 2 + 1) if width % n == 0):
            places = torch.arange(width).reshape(count, -1).mT.flatten()
            words = f"takes {key} with its last axis interleaved, one of each of {count} blocks in turn"
            yield rewired_variant(interpreter, words, {key: value.index_select(-1, places)})
        for inner in (n for n in range(2, width // 4 + 1) if width % n == 0):
            for count in (n for n in range(2, width // inner // 2 + 1) if (width // inner) % n == 0):
                places = torch.arange(width).reshape(count, -1, inner).transpose(0, 1).flatten()
                words = f"takes {key} with groups of {inner} of its last axis interleaved, from {count} blocks"
                yield rewired_variant(interpreter, words, {key: value.index_select(-1, places)})
