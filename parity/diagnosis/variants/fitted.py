"""Variants whose numbers are fitted: another eps, slope or scale than any that has a name.

A number is found by Gauss and Newton's method, from the formula's differences: where a formula does give the tensor for
some number, that is where the method ends, to the last places; where it does not, the residual stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.interpreter import Goal, Interpreter, attempt
from parity.diagnosis.definition import Knob, Variant
from parity.diagnosis.variants.inputs import groups
from parity.diagnosis.variants.site import Here
from parity.diagnosis.variants.transforms import ENOUGH, named

Residual = Callable[[float], tuple[Tensor, float] | None]
"""What is missing of a tensor for a number, and its square; None where the formula does not fit."""
ROUNDS = 40
PATIENCE = 6
"""Rounds after which the residual must have become a tenth of what it was."""
STEP = 1e-6
"""Of the differences, relative."""


def numbers_of_kind(machine: Interpreter, site: str, goal: Goal | None) -> Iterator[Variant]:
    """Variants of the step `site` with a number of its formula fitted; none for a goal of few numbers."""
    here = _fitting(machine, site, goal)
    if here is not None and goal is not None:
        yield from _with_numbers(here, here.kind.knobs(here.operands), goal)


def numbers_of_inputs(machine: Interpreter, site: str, goal: Goal | None) -> Iterator[Variant]:
    """Variants of the step `site` with an input, or a result behind which the goal is, scaled or moved by a number."""
    here = _fitting(machine, site, goal)
    # Not of a large step: many runs of it for an unlikely fault.
    if here is not None and goal is not None and machine.window.open:
        if goal.key != site:
            meaning = f" ({here.kind.factor})" if here.kind.factor else ""
            description = f"gives its result scaled by {{}}{meaning}"
            yield from _with_numbers(
                here, iter([Knob(description, "as it is", 1.0, partial(torch.mul, here.result))]), goal
            )
        yield from _with_numbers(here, _of_inputs(here), goal)


def _fitting(machine: Interpreter, site: str, goal: Goal | None) -> Here | None:
    if goal is None or goal.tensor.numel() < ENOUGH or machine.is_slow(site):
        return None
    return Here.of(machine, site)


def _with_numbers(here: Here, knobs: Iterator[Knob], goal: Goal) -> Iterator[Variant]:
    for knob in knobs:
        number = _fitted(here, knob, goal)
        if number is not None and knob.low <= number <= knob.high and abs(number - knob.start) > STEP * abs(knob.start):
            description = knob.description.format(named(number, here.sizes(here.result)))
            yield Variant(description, knob.canonical_description, partial(knob.compute, number))


def _of_inputs(here: Here) -> Iterator[Knob]:
    for role in here.floats:
        name = here.name(role)
        yield Knob(f"takes {name} scaled by {{}}", "as it is", 1.0, partial(_scaled, here, (role,)))
        yield Knob(f"takes {name} with {{}} added", "as it is", 0.0, partial(_moved, here, role))
    for roles in groups(here):
        names = ", ".join(here.name(role) for role in roles)
        yield Knob(f"takes {names} scaled by {{}}", "as they are", 1.0, partial(_scaled, here, tuple(roles)))


def _scaled(here: Here, roles: tuple[str, ...], factor: float) -> Tensor:
    return here.kind.compute(here.operands.having(**{role: factor * here.floats[role] for role in roles}))


def _moved(here: Here, role: str, offset: float) -> Tensor:
    return here.kind.compute(here.operands.having(**{role: here.floats[role] + offset}))


def _fitted(here: Here, knob: Knob, goal: Goal) -> float | None:
    """The number for which the formula leads nearest to the goal; None where it comes to none."""
    finite = goal.tensor.isfinite()

    def residual(number: float) -> tuple[Tensor, float] | None:
        value = attempt(partial(knob.compute, number))
        value = None if value is None else here.machine.through(here.site, value, goal.key)
        if value is None or value.shape != goal.tensor.shape or not bool((value.isfinite() == finite).all()):
            return None
        gap = torch.where(finite, goal.tensor - value, 0.0)
        return gap, float(gap.square().sum())

    number = knob.start
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
