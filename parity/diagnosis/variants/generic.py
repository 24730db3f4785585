"""Variants that any step may have, whatever its kind: other inputs, and transforms of these and of its result."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.interpreter import Goal, Interpreter
from parity.diagnosis.definition import Operands, Variant
from parity.diagnosis.variants import inputs, transforms
from parity.diagnosis.variants.site import Here, axis_names
from parity.diagnosis.variants.transforms import ENOUGH, HALVES, Transform


def generic(machine: Interpreter, site: str, goal: Goal | None) -> Iterator[Variant]:
    """Every generic variant of the step `site`, likeliest first; with scales and sums fitted if `goal` is its own."""
    here = Here.of(machine, site)
    given = goal.tensor if goal is not None and goal.key == site else None
    if here is None or here.result.numel() < transforms.FEW:
        return
    yield from inputs.skipped(here)
    if machine.is_slow(site):
        yield from _given_out(here, given)
        return
    yield from _in_half_precision(here)
    yield from inputs.other_inputs(here)
    yield from inputs.siblings(here)
    yield from inputs.exchanged(here)
    yield from _given_out(here, given)
    yield from inputs.missing(here)
    yield from inputs.transformed(here)
    yield from inputs.added_to(here)
    yield from inputs.applied_first(here)
    yield from inputs.own_parameter(here)


def own_parameters(machine: Interpreter, site: str, goal: Goal | None) -> Iterator[Variant]:
    """The step `site` with all of the subject's parameters that differ, where nothing tells more of them."""
    here = Here.of(machine, site)
    held = {} if here is None else inputs.held_otherwise(here)
    if here is not None and len(held) > 1:
        yield here.with_inputs(f"holds other {', '.join(map(here.name, held))}", "those recorded", held)


def _given_out(here: Here, given: Tensor | None) -> Iterator[Variant]:
    """Transforms of the result."""
    result, sizes = here.result, here.sizes(here.result)
    yield Variant("gives zeros", "does not", partial(torch.zeros_like, result), zeros=True)
    scalings = list(transforms.scalings(sizes))
    moves = list(transforms.moves(result.shape, axis_names(here.scene, here.site, result.ndim)))
    fits = [] if given is None else list(transforms.fitted(result, given, sizes))
    meaning = f" ({here.kind.factor})" if here.kind.factor else ""
    others = [*transforms.roundings(), *transforms.functions(), *moves]
    for found, words in ((scalings, meaning), (others, ""), (fits, meaning)):
        for t in found:
            yield Variant(f"gives its result {t.phrase}{words}", "as it is", partial(t.apply, result), t.whole)
    if given is not None:
        yield from _added(here, given)


def _added(here: Here, given: Tensor) -> Iterator[Variant]:
    """A multiple of another tensor of the scene: a residual too many, or too few; or a mean of the two."""
    result = here.result
    if given.shape != result.shape or given.numel() < ENOUGH or not bool(given.isfinite().all()):
        return
    others: dict[str, Tensor] = {}
    for key, tensor in {**here.scene.subject, **here.scene.reference}.items():
        other = here.machine.window.cut(here.site, tensor).to(torch.float64)
        if key != here.site and here.precedes(key) and other.shape == given.shape and bool(other.isfinite().all()):
            others[f"its input {key}" if key in here.operands.keys.values() else key] = other
    for name, other in others.items():
        squares = float(other.square().sum())
        factor = float(((given - result) * other).sum()) / squares if squares else 0.0
        if abs(factor) > transforms.LEAST:
            words = f"adds {_times(factor, here, name)} to its result"
            yield Variant(words, "does not", partial(torch.add, result, factor * other))
    for name, other in others.items():
        both = torch.stack([result.flatten(), other.flatten()], 1)  # (n, 2)
        a, b = torch.linalg.lstsq(both, given.flatten()[:, None]).solution.flatten().tolist()
        if min(abs(a), abs(b)) > transforms.LEAST:
            words = f"gives {_times(a, here, 'its result')} plus {_times(b, here, name)}"
            yield Variant(words, "its result", partial(torch.add, a * result, b * other))


def _times(factor: float, here: Here, name: str) -> str:
    if abs(factor - 1) < transforms.AGREEING:
        return name
    return f"{transforms.named(factor, here.sizes(here.result))} times {name}"


def _in_half_precision(here: Here) -> Iterator[Variant]:
    """Rounded at one end or the other; or computed so, which no other arithmetic repeats to the last place."""
    roundings = list(transforms.roundings())
    for t in roundings:
        yield Variant(f"gives its result {t.phrase}", "as it is", partial(t.apply, here.result))
    for role, tensor in here.floats.items():
        for t in roundings:
            yield here.with_inputs(f"takes {here.name(role)} {t.phrase}", "as it is", {role: t.apply(tensor)})
    for t in roundings:
        every = {role: t.apply(tensor) for role, tensor in here.floats.items()}
        yield here.with_inputs(f"takes all of its inputs {t.phrase}", "as they are", every)
        compute = partial(_rounded, t, here, here.operands.having(**every))
        yield Variant(f"takes all of its inputs and gives its result {t.phrase}", "does not round", compute)
    for name, (dtype, unit) in HALVES.items():
        compute = partial(_within, here, here.operands.cast(dtype))
        yield Variant(f"computes in {name}", "does not", compute, unit=unit)


def _rounded(t: Transform, here: Here, operands: Operands) -> Tensor:
    return t.apply(here.kind.compute(operands))


def _within(here: Here, operands: Operands) -> Tensor:
    return here.kind.compute(operands).to(torch.float64)
