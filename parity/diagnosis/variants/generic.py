"""Variants that any operation may have: other inputs, and transforms of these and of its result."""

from collections.abc import Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis import constants
from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import Goal
from parity.diagnosis.variants import inputs, transforms
from parity.diagnosis.variants.site import Site, axis_names
from parity.diagnosis.variants.transforms import ENOUGH, HALVES, Transform


def generic(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Every generic variant of an operation, likeliest first; scales and sums are fitted if the goal is its result."""
    given = goal.tensor if goal is not None and goal.key == site.node else None
    if site.result.numel() < transforms.FEW or (site.interpreter.is_long and site.node != site.interpreter.target):
        return
    yield from inputs.skipped(site)
    if site.interpreter.is_slow(site.node):
        yield from _given_out(site, given)
        return
    yield from _in_half_precision(site)
    yield from inputs.other_inputs(site)
    yield from inputs.siblings(site)
    yield from inputs.started(site)
    yield from inputs.exchanged(site)
    yield from _given_out(site, given)
    yield from inputs.missing(site)
    yield from inputs.transformed(site)
    yield from inputs.added_to(site)
    yield from inputs.applied_first(site)
    yield from inputs.replaced(site)
    yield from inputs.own_parameter(site)


def own_parameters(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """An operation with all of the subject's parameters that differ, for want of a more precise explanation."""
    held = inputs.held_otherwise(site)
    if len(held) > 1:
        yield site.with_inputs(f"holds other {site.names([*held])}", "those recorded", held)


def _given_out(site: Site, given: Tensor | None) -> Iterator[Variant]:
    """Transforms of the result."""
    result, sizes = site.result, site.sizes(site.result)
    yield Variant("gives zeros", "does not", partial(torch.zeros_like, result), zeros=True)
    yield from _result(site, transforms.scalings(sizes), site.scale_meaning)
    yield from _result(site, (*transforms.roundings(), *transforms.functions()))
    yield from _result(site, transforms.moves(result.shape, axis_names(site.scene, site.node, result.ndim)))
    if given is not None:
        yield from _result(site, transforms.fitted(result, given, sizes), site.scale_meaning)
        yield from _of_an_input(site, given)
        yield from _added(site, given)


def _of_an_input(site: Site, given: Tensor) -> Iterator[Variant]:
    """An input in the place of the result, scaled, moved or limited by fitted numbers."""
    for role, tensor in site.floats.items():
        if tensor.shape == site.result.shape and role not in site.leaves:
            for t in transforms.fitted(tensor, given, site.sizes(tensor)):
                words = f"leaves this operation out (the {inputs.in_words(site.operation)}) and gives {site.name(role)}"
                yield Variant(f"{words} {t.phrase}", "does not", partial(t.apply, tensor), t.needs_whole_tensor)


def _result(site: Site, found: Iterable[Transform], meaning: str = "") -> Iterator[Variant]:
    for t in found:
        words = f"gives its result {t.phrase}{meaning}"
        yield Variant(words, "as it is", partial(t.apply, site.result), t.needs_whole_tensor)


def _added(site: Site, given: Tensor) -> Iterator[Variant]:
    """A multiple of another tensor of the scene added, as by a residual too many or too few; or the two mixed."""
    result = site.result
    if given.shape != result.shape or given.numel() < ENOUGH or not bool(given.isfinite().all()):
        return
    yield from _joined_with_parameter(site, given)
    others: dict[str, Tensor] = {}
    for key, tensor in site.earlier.items():
        other = site.interpreter.window.cut(site.node, tensor).to(torch.float64)
        if other.shape == given.shape and bool(other.isfinite().all()):
            others[f"its input {key}" if key in site.operands.keys.values() else key] = other
    for name, other in others.items():
        factor = transforms.nearest_factor(other, given - result)
        if abs(factor) > transforms.LEAST:
            words = f"adds {_times(factor, site, name)} to its result"
            yield Variant(words, "does not", partial(torch.add, result, factor * other))
    for name, other in others.items():
        both = torch.stack([result.flatten(), other.flatten()], 1)  # (n, 2)
        a, b = torch.linalg.lstsq(both, given.flatten()[:, None]).solution.flatten().tolist()
        if min(abs(a), abs(b)) > transforms.LEAST:
            words = f"gives {_times(a, site, 'its result')} plus {_times(b, site, name)}"
            yield Variant(words, "its result", partial(torch.add, a * result, b * other))


def _joined_with_parameter(site: Site, given: Tensor) -> Iterator[Variant]:
    """A parameter that the operation does not take, added to the last axis of its result, or multiplied with it."""
    own = set(site.operands.keys.values())
    for key, tensor in site.earlier.items():
        alike = 0 < tensor.ndim < given.ndim and tensor.shape == given.shape[given.ndim - tensor.ndim :]
        if key not in own and alike and tensor.is_floating_point():
            other = tensor.to(torch.float64)
            yield Variant(f"adds {key} to its result", "does not", partial(torch.add, site.result, other))
            yield Variant(f"multiplies its result by {key}", "does not", partial(torch.mul, site.result, other))


def _times(factor: float, site: Site, name: str) -> str:
    if abs(factor - 1) < constants.AGREEING:
        return name
    return f"{constants.named(factor, site.sizes(site.result))} times {name}"


def _in_half_precision(site: Site) -> Iterator[Variant]:
    """Inputs or result rounded; or all computed in half precision, which cannot be repeated to the last place."""
    roundings = list(transforms.roundings())
    yield from _result(site, roundings)
    for role in site.floats:
        yield from inputs.through(site, [role], roundings)
    for t in roundings:
        yield from inputs.through(site, [*site.floats], [t], "all of its inputs")
        compute = partial(_rounded, site, t)
        yield Variant(f"takes all of its inputs and gives its result {t.phrase}", "does not round", compute)
    for name, (dtype, unit) in HALVES.items():
        yield Variant(f"computes in {name}", "does not", partial(_within, site, dtype), unit=unit)


def _rounded(site: Site, t: Transform) -> Tensor:
    return t.apply(site.computed(site.operands.mapped(t.apply, *site.floats)))


def _within(site: Site, dtype: torch.dtype) -> Tensor:
    return site.computed(site.operands.mapped(lambda x: x.to(dtype), *site.floats)).to(torch.float64)
