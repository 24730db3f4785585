"""Variants whose numbers are fitted: another eps, slope or scale than any that has a name.

A number is found by Gauss and Newton's method, from the formula's differences: where a formula does give the tensor for
some number, that is where the method ends, to the last places; where it does not, the residual stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Variant
from parity.diagnosis.interpreter import Goal, Interpreter, attempt
from parity.diagnosis.variants.inputs import groups
from parity.diagnosis.variants.site import Site
from parity.diagnosis.variants.transforms import ENOUGH, named

Residual = Callable[[float], tuple[Tensor, float] | None]
"""What is missing of a tensor for a number, and its square; None where the formula does not fit."""
ROUNDS = 40
PATIENCE = 6
"""Rounds after which the residual must have become a tenth of what it was."""
STEP = 1e-6
"""Of the differences, relative."""


def fitted_parameters(interpreter: Interpreter, node: str, goal: Goal | None) -> Iterator[Variant]:
    """Variants of the operation `node` with a number of its formula fitted; none for a goal of few numbers."""
    site = _fitting(interpreter, node, goal)
    if site is not None and goal is not None:
        yield from _with_numbers(site, site.definition.fitted_parameters(site.operands), goal)


def fitted_inputs(interpreter: Interpreter, node: str, goal: Goal | None) -> Iterator[Variant]:
    """Variants of the operation `node` with a fitted scale or offset of an input, or of a result before the goal."""
    site = _fitting(interpreter, node, goal)
    # Not of a large operation: many runs of it for an unlikely fault.
    if site is not None and goal is not None and interpreter.window.covers_all:
        if goal.key != node:
            meaning = f" ({site.definition.scale_meaning})" if site.definition.scale_meaning else ""
            description = f"gives its result scaled by {{}}{meaning}"
            yield from _with_numbers(
                site, iter([FittedParameter(description, "as it is", 1.0, partial(torch.mul, site.result))]), goal
            )
        yield from _with_numbers(site, _of_inputs(site), goal)


def _fitting(interpreter: Interpreter, node: str, goal: Goal | None) -> Site | None:
    if goal is None or goal.tensor.numel() < ENOUGH or interpreter.is_slow(node):
        return None
    return Site.of(interpreter, node)


def _with_numbers(site: Site, fitted_parameters: Iterator[FittedParameter], goal: Goal) -> Iterator[Variant]:
    for parameter in fitted_parameters:
        number = _fitted(site, parameter, goal)
        if (
            number is not None
            and parameter.low <= number <= parameter.high
            and abs(number - parameter.start) > STEP * abs(parameter.start)
        ):
            description = parameter.description.format(named(number, site.sizes(site.result)))
            yield Variant(description, parameter.canonical_description, partial(parameter.compute, number))


def _of_inputs(site: Site) -> Iterator[FittedParameter]:
    for role in site.floats:
        name = site.name(role)
        yield FittedParameter(f"takes {name} scaled by {{}}", "as it is", 1.0, partial(_scaled, site, (role,)))
        yield FittedParameter(f"takes {name} with {{}} added", "as it is", 0.0, partial(_moved, site, role))
    for roles in groups(site):
        names = ", ".join(site.name(role) for role in roles)
        yield FittedParameter(f"takes {names} scaled by {{}}", "as they are", 1.0, partial(_scaled, site, tuple(roles)))


def _scaled(site: Site, roles: tuple[str, ...], factor: float) -> Tensor:
    return site.definition.compute(site.operands.having(**{role: factor * site.floats[role] for role in roles}))


def _moved(site: Site, role: str, offset: float) -> Tensor:
    return site.definition.compute(site.operands.having(**{role: site.floats[role] + offset}))


def _fitted(site: Site, parameter: FittedParameter, goal: Goal) -> float | None:
    """The number for which the formula leads nearest to the goal; None where it comes to none."""
    finite = goal.tensor.isfinite()

    def residual(number: float) -> tuple[Tensor, float] | None:
        value = attempt(partial(parameter.compute, number))
        value = None if value is None else site.interpreter.through(site.node, value, goal.key)
        if value is None or value.shape != goal.tensor.shape or not bool((value.isfinite() == finite).all()):
            return None
        gap = torch.where(finite, goal.tensor - value, 0.0)
        return gap, float(gap.square().sum())

    number = parameter.start
    at = residual(number)
    first = None if at is None else at[1]
    for round_ in range(ROUNDS):
        if at is None or first is None or at[1] == 0 or (round_ == PATIENCE and at[1] > first / 100):
            break
        h = STEP * max(abs(number), STEP)
        above, below = residual(number + h), residual(number - h)
        if above is None or below is None:
            break
        slope = (below[0] - above[0]) / (2 * h)
        squares = float(slope.square().sum())
        step = float((at[0] * slope).sum()) / squares if squares else 0.0
        if abs(step) <= 1e-15 * abs(number) or step == 0:
            break
        taken = _shortened(residual, number, step, at[1])
        if taken is None:
            break
        number, at = taken
    return None if at is None or first is None or at[1] > first / 100 else number


def _shortened(
    residual: Residual, number: float, step: float, size: float
) -> tuple[float, tuple[Tensor, float]] | None:
    """The first of ever shorter steps that makes the residual smaller."""
    for _ in range(6):
        at = residual(number + step)
        if at is not None and at[1] < size:
            return number + step, at
        step /= 4
    return None
