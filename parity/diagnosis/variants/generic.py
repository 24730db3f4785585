"""Variants that any operation may have: other inputs, and transforms of these and of its result."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, Variant
from parity.diagnosis.interpreter import Goal, Interpreter
from parity.diagnosis.variants import inputs, transforms
from parity.diagnosis.variants.site import Site, axis_names
from parity.diagnosis.variants.transforms import ENOUGH, HALVES, Transform


def generic(interpreter: Interpreter, node: str, goal: Goal | None) -> Iterator[Variant]:
    """Every generic variant of the operation `node`, likeliest first; with scales and sums fitted to its own goal."""
    site = Site.of(interpreter, node)
    given = goal.tensor if goal is not None and goal.key == node else None
    if site is None or site.result.numel() < transforms.FEW:
        return
    yield from inputs.skipped(site)
    if interpreter.is_slow(node):
        yield from _given_out(site, given)
        return
    yield from _in_half_precision(site)
    yield from inputs.other_inputs(site)
    yield from inputs.siblings(site)
    yield from inputs.exchanged(site)
    yield from _given_out(site, given)
    yield from inputs.missing(site)
    yield from inputs.transformed(site)
    yield from inputs.added_to(site)
    yield from inputs.applied_first(site)
    yield from inputs.own_parameter(site)


def own_parameters(interpreter: Interpreter, node: str, goal: Goal | None) -> Iterator[Variant]:
    """The operation `node` with all of the subject's parameters that differ, where nothing tells more of them."""
    site = Site.of(interpreter, node)
    held = {} if site is None else inputs.held_otherwise(site)
    if site is not None and len(held) > 1:
        yield site.with_inputs(f"holds other {', '.join(map(site.name, held))}", "those recorded", held)


def _given_out(site: Site, given: Tensor | None) -> Iterator[Variant]:
    """Transforms of the result."""
    result, sizes = site.result, site.sizes(site.result)
    yield Variant("gives zeros", "does not", partial(torch.zeros_like, result), zeros=True)
    scalings = list(transforms.scalings(sizes))
    moves = list(transforms.moves(result.shape, axis_names(site.scene, site.node, result.ndim)))
    fits = [] if given is None else list(transforms.fitted(result, given, sizes))
    meaning = f" ({site.definition.scale_meaning})" if site.definition.scale_meaning else ""
    others = [*transforms.roundings(), *transforms.functions(), *moves]
    for found, words in ((scalings, meaning), (others, ""), (fits, meaning)):
        for t in found:
            yield Variant(
                f"gives its result {t.phrase}{words}", "as it is", partial(t.apply, result), t.needs_whole_tensor
            )
    if given is not None:
        yield from _added(site, given)


def _added(site: Site, given: Tensor) -> Iterator[Variant]:
    """A multiple of another tensor of the scene: a residual too many, or too few; or a mean of the two."""
    result = site.result
    if given.shape != result.shape or given.numel() < ENOUGH or not bool(given.isfinite().all()):
        return
    others: dict[str, Tensor] = {}
    for key, tensor in {**site.scene.subject, **site.scene.reference}.items():
        other = site.interpreter.window.cut(site.node, tensor).to(torch.float64)
        if key != site.node and site.precedes(key) and other.shape == given.shape and bool(other.isfinite().all()):
            others[f"its input {key}" if key in site.operands.keys.values() else key] = other
    for name, other in others.items():
        squares = float(other.square().sum())
        factor = float(((given - result) * other).sum()) / squares if squares else 0.0
        if abs(factor) > transforms.LEAST:
            words = f"adds {_times(factor, site, name)} to its result"
            yield Variant(words, "does not", partial(torch.add, result, factor * other))
    for name, other in others.items():
        both = torch.stack([result.flatten(), other.flatten()], 1)  # (n, 2)
        a, b = torch.linalg.lstsq(both, given.flatten()[:, None]).solution.flatten().tolist()
        if min(abs(a), abs(b)) > transforms.LEAST:
            words = f"gives {_times(a, site, 'its result')} plus {_times(b, site, name)}"
            yield Variant(words, "its result", partial(torch.add, a * result, b * other))


def _times(factor: float, site: Site, name: str) -> str:
    if abs(factor - 1) < transforms.AGREEING:
        return name
    return f"{transforms.named(factor, site.sizes(site.result))} times {name}"


def _in_half_precision(site: Site) -> Iterator[Variant]:
    """Rounded at one end or the other; or computed so, which no other arithmetic repeats to the last place."""
    roundings = list(transforms.roundings())
    for t in roundings:
        yield Variant(f"gives its result {t.phrase}", "as it is", partial(t.apply, site.result))
    for role, tensor in site.floats.items():
        for t in roundings:
            yield site.with_inputs(f"takes {site.name(role)} {t.phrase}", "as it is", {role: t.apply(tensor)})
    for t in roundings:
        every = {role: t.apply(tensor) for role, tensor in site.floats.items()}
        yield site.with_inputs(f"takes all of its inputs {t.phrase}", "as they are", every)
        compute = partial(_rounded, t, site, site.operands.having(**every))
        yield Variant(f"takes all of its inputs and gives its result {t.phrase}", "does not round", compute)
    for name, (dtype, unit) in HALVES.items():
        compute = partial(_within, site, site.operands.cast(dtype))
        yield Variant(f"computes in {name}", "does not", compute, unit=unit)


def _rounded(t: Transform, site: Site, operands: Operands) -> Tensor:
    return t.apply(site.definition.compute(operands))


def _within(site: Site, operands: Operands) -> Tensor:
    return site.definition.compute(operands).to(torch.float64)
