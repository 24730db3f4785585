"""Variants whose numbers are fitted: another eps, slope or scale than any that has a name.

A number is found by the Gauss-Newton method, with derivatives by differences. Where a formula gives the tensor for some
number, the method ends there, to the last places; where it does not, a residual stays.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.constants import named
from parity.diagnosis.definition import FittedParameter, Variant
from parity.diagnosis.interpreter import Goal, attempt
from parity.diagnosis.matching import scale
from parity.diagnosis.variants.inputs import groups
from parity.diagnosis.variants.site import Site
from parity.diagnosis.variants.transforms import ENOUGH, nearest_factor

Residue = tuple[Tensor, float]
"""The difference from a tensor, and its sum of squares."""
Residual = Callable[[float], Residue | None]
"""The residue for a number; None where the formula does not fit."""
ROUNDS = 40
PATIENCE = 6
"""Rounds after which the residual must have become a tenth of what it was."""
STEP = 1e-6
"""The differences' size, relative to the number."""


def fitted_parameters(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Variants of an operation with a number of its formula fitted; none for a goal of few numbers."""
    if goal is not None and _can_be_fitted(site, goal):
        yield from _with_numbers(site, site.definition.fitted_parameters(site.operands), goal)


def fitted_to_few(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """The same for a goal of few numbers, which many formulas meet: true only if other places give the same number."""
    if goal is not None and not _can_be_fitted(site, goal):
        yield from _with_numbers(site, site.definition.fitted_parameters(site.operands), goal)


def fitted_inputs(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Variants of an operation with a fitted scale or offset of an input, or of a result before the goal."""
    # Not for a large operation: that would be many runs of it for an unlikely fault.
    if site.interpreter.is_long:
        return
    if goal is not None and _can_be_fitted(site, goal) and site.interpreter.window.covers_all:
        yield from _with_numbers(site, _of_ends(site, goal), goal)


def _can_be_fitted(site: Site, goal: Goal) -> bool:
    return goal.tensor.numel() >= ENOUGH and not site.interpreter.is_slow(site.node)


def _with_numbers(site: Site, fitted_parameters: Iterator[FittedParameter], goal: Goal) -> Iterator[Variant]:
    for p in fitted_parameters:
        number = _fitted(site, p, goal)
        if number is not None and p.low <= number <= p.high and abs(number - p.start) > STEP * abs(p.start):
            description = p.description.format(named(number, site.sizes(site.result)))
            yield Variant(description, p.canonical_description, partial(p.compute, number))


def _of_ends(site: Site, goal: Goal) -> Iterator[FittedParameter]:
    if goal.key != site.node:
        words = f"gives its result scaled by {{}}{site.scale_meaning}"
        yield FittedParameter(words, "as it is", 1.0, partial(torch.mul, site.result))
    largest = scale(site.result)
    if largest:
        words = "gives its result soft-capped at {}, c tanh(x / c)"
        yield FittedParameter(words, "as it is", largest, partial(_soft_capped, site.result), low=0.0)
    for role in site.floats:
        name = site.name(role)
        yield FittedParameter(f"takes {name} scaled by {{}}", "as it is", 1.0, partial(_with, site, torch.mul, [role]))
        yield FittedParameter(f"takes {name} with {{}} added", "as it is", 0.0, partial(_with, site, torch.add, [role]))
    for roles in groups(site):
        words = f"takes {site.names(roles)} scaled by {{}}"
        yield FittedParameter(words, "as they are", 1.0, partial(_with, site, torch.mul, roles))


def _soft_capped(x: Tensor, cap: float) -> Tensor:
    """Infinities stay: what is hidden is hidden after the cap."""
    return torch.where(x.isfinite(), cap * torch.tanh(x / cap), x)


def _with(site: Site, function: Callable[..., Tensor], roles: list[str], number: float) -> Tensor:
    """The operation on inputs that are each combined with a number."""
    return site.computed(site.operands.mapped(partial(function, other=number), *roles))


def _fitted(site: Site, parameter: FittedParameter, goal: Goal) -> float | None:
    """The number for which the formula leads nearest to the goal; None where the method finds none."""
    finite = goal.tensor.isfinite()

    def residual(number: float) -> Residue | None:
        value = attempt(partial(parameter.compute, number))
        value = None if value is None else site.interpreter.through({site.node: value}, goal.key)
        if value is None or value.shape != goal.tensor.shape or not bool((value.isfinite() == finite).all()):
            return None
        gap = torch.where(finite, goal.tensor - value, 0.0)
        return gap, float(gap.square().sum())

    number, at = parameter.start, residual(parameter.start)
    enough = 0.0 if at is None else at[1] / 100
    for round_ in range(ROUNDS):
        if at is None or at[1] == 0 or (round_ == PATIENCE and at[1] > enough):
            break
        h = STEP * max(abs(number), STEP)
        above, below = residual(number + h), residual(number - h)
        if above is None or below is None:
            break
        step = nearest_factor((below[0] - above[0]) / (2 * h), at[0])
        taken = _shortened(residual, number, step, at[1]) if abs(step) > 1e-15 * abs(number) else None
        if taken is None:
            break
        number, at = taken
    return None if at is None or at[1] > enough else number


def _shortened(residual: Residual, number: float, step: float, size: float) -> tuple[float, Residue] | None:
    """The first of ever shorter steps that makes the residual smaller."""
    for shortened in (number + step / 4**k for k in range(6)):
        at = residual(shortened)
        if at is not None and at[1] < size:
            return shortened, at
    return None
