"""Why a tensor is wrong: the search for a formula that gives the subject's tensor, and one that gives the recorded one.

A hint is two-sided. If the canonical formula gives the reference's tensor and a variant of it gives the subject's, the
subject computes the variant; if it is the other way round, the reference does. What reproduces only one side is not
shown.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torch import Tensor

from parity.diagnosis.candidates import STAGES, Found, Sides
from parity.diagnosis.interpreter import attempt
from parity.diagnosis.matching import distance, equals, reproduces
from parity.diagnosis.part import Part
from parity.diagnosis.variants.site import axis_names
from parity.diagnosis.variants.transforms import ENOUGH, fitted, moves, scalings
from parity.results import Hint
from parity.subject.scene import Scene


def explain(scene: Scene, key: str) -> list[Hint]:
    """Hints of why the subject's tensor `key` is not the reference's; what cannot be told apart is said once.

    Every one is confirmed: recomputed as it says, the error is within rounding. None if the tensors agree, or nothing
    confirmed was found.
    """
    if key not in scene.reference or key not in scene.subject:
        return []
    detached = [{name: t.detach() for name, t in side.items()} for side in (scene.reference, scene.subject)]
    sides = Sides(replace(scene, reference=detached[0], subject=detached[1]), key)
    if sides.before <= sides.tolerance:
        return []
    canonical = sides.machine.computed(key) if sides.error > sides.tolerance else None
    if canonical is None:
        return _turned(sides)
    return _two_sided(sides, canonical) or _turned(sides) or _in_part(sides, canonical)


def _two_sided(sides: Sides, canonical: Tensor) -> list[Hint]:
    own = Found(sides.key, None, canonical)
    if sides.is_subject(canonical):
        subject: Found | None = own
    else:
        subject = sides.subject_way()
    if subject is None:
        return []
    reference = own if sides.is_recorded(canonical) else sides.reference_way()
    if reference is None or (reference.variant is None and subject.variant is None):
        return []
    after = sides.units(distance(reference.value, sides.reference))
    return [Hint(_sentence(reference, subject), _place(reference, subject), sides.units(sides.before), after)]


def _sentence(reference: Found, subject: Found) -> str:
    if reference.variant is not None:
        other = reference.variant.canonical_description if subject.variant is None else subject.variant.description
        return f"the reference {reference.variant.description}; the subject {other}"
    assert subject.variant is not None
    return f"the subject {subject.variant.description}; the reference {subject.variant.canonical_description}"


def _place(reference: Found, subject: Found) -> str:
    return reference.site if subject.variant is None else subject.site


def _turned(sides: Sides) -> list[Hint]:
    """A transform of the subject's whole tensor that gives the reference's, however either is computed."""
    subject, reference = sides.scene.subject[sides.key], sides.scene.reference[sides.key]
    if not subject.is_floating_point() or subject.numel() < ENOUGH:
        return []
    names = axis_names(sides.scene, sides.key, subject.ndim)
    for t in (*scalings(subject.shape), *moves(subject.shape, names), *fitted(subject, reference, subject.shape)):
        value = attempt(partial(t.apply, subject))
        if value is not None and reproduces(value, reference, sides.tolerance, sides.before):
            description = f"the reference's numbers are the subject's {t.phrase}"
            return [Hint(description, sides.key, sides.units(sides.before), sides.units(distance(value, reference)))]
    return []


def _in_part(sides: Sides, canonical: Tensor) -> list[Hint]:
    """A variant that the subject computes for some rows along one axis only."""
    suspect = sides.suspect
    given, usual = sides.subject_of(suspect), sides.machine.computed(suspect)
    if usual is None or not sides.is_recorded(canonical):
        return []
    for part in Part.all_of(usual, given, axis_names(sides.scene, suspect, given.ndim)):
        rows = part.of_tensor(given)
        for stage in STAGES:
            for variant in sides.usable(stage(sides.machine, suspect, None), rows):
                value = attempt(variant.compute)
                if value is not None and value.shape == given.shape and equals(part.of_tensor(value), rows):
                    usually = variant.canonical_description
                    description = f"the subject {variant.description}, {part.words}; the reference {usually}"
                    after = sides.units(distance(canonical, sides.reference))
                    return [Hint(description, suspect, sides.units(sides.before), after)]
    return []
