"""Why a tensor is wrong: the search for a formula that gives the subject's tensor, and one that gives the recorded one.

A hint is two-sided. If the canonical formula gives the reference's tensor and a variant of it gives the subject's, the
subject computes the variant; if it is the other way round, the reference does. What reproduces only one side is not
shown.
"""

from dataclasses import replace
from functools import partial

from torch import Tensor

from parity.diagnosis.candidates import STAGES, Candidates, Match
from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import Goal, attempt
from parity.diagnosis.matching import distance, equals, reproduces
from parity.diagnosis.part import Part
from parity.diagnosis.variants.fitted import fitted_to_few
from parity.diagnosis.variants.site import axis_names
from parity.diagnosis.variants.transforms import ENOUGH, fitted, moves, scalings
from parity.results import Hint
from parity.subject.scene import Scene


def explain(scene: Scene, key: str) -> list[Hint]:
    """Hints of why the subject's tensor `key` is not the reference's; of those that cannot be told apart, one.

    Every hint is confirmed: recomputed as it says, the error is within rounding. The list is empty if the tensors
    agree, or nothing was confirmed.
    """
    return _explained(scene, key, alternatives=False)


def alternatives(scene: Scene, key: str) -> list[Hint]:
    """What `explain` gives, and with it all that is as likely and cannot be told from it here.

    Which of them is true other segments tell: in one of 7 steps and 8 features, T + 1 and H are the same number.
    """
    return _explained(scene, key, alternatives=True)


def _explained(scene: Scene, key: str, alternatives: bool) -> list[Hint]:
    if key not in scene.reference or key not in scene.subject:
        return []
    detached = [{name: t.detach() for name, t in side.items()} for side in (scene.reference, scene.subject)]
    candidates = Candidates(replace(scene, reference=detached[0], subject=detached[1]), key)
    if candidates.before <= candidates.tolerance:
        return []
    canonical = candidates.interpreter.computed(key) if candidates.error > candidates.tolerance else None
    if canonical is None:
        return _whole_transformed(candidates)
    return (
        _two_sided(candidates, canonical, alternatives)
        or _whole_transformed(candidates)
        or _wrong_in_part(candidates, canonical)
    )


def guesses(scene: Scene, key: str) -> list[Hint]:
    """Of a tensor of a few numbers, such as a loss, every formula of its operation that one fitted number makes it.

    A guess is a hint only where other segments give the same number.
    """
    if scene.subject[key].numel() >= ENOUGH:
        return []
    candidates = Candidates(scene, key)
    canonical = candidates.interpreter.computed(key)
    if canonical is None or not candidates.is_recorded(canonical):
        return []
    after = distance(canonical, candidates.reference)
    found = candidates.computed(fitted_to_few, key, candidates.subject, Goal(key, candidates.subject))
    matching = [variant for variant, value in found if equals(value, candidates.subject)]
    return [candidates.hint(_sentence(None, variant), key, after) for variant in matching]


def _two_sided(candidates: Candidates, canonical: Tensor, alternatives: bool) -> list[Hint]:
    own = Match(candidates.key, None, canonical)
    subjects = [own] if candidates.is_subject(canonical) else candidates.subject_matches(alternatives)
    if not subjects:
        return []
    references = [own] if candidates.is_recorded(canonical) else candidates.reference_matches(alternatives)
    return [
        _hint(candidates, subject, reference)
        for reference in references
        for subject in subjects
        if subject.variant is not None or reference.variant is not None
    ]


def _hint(candidates: Candidates, subject: Match, reference: Match) -> Hint:
    at = reference.node if subject.variant is None else subject.node
    after = distance(reference.value, candidates.reference)
    return candidates.hint(_sentence(reference.variant, subject.variant), at, after)


def _sentence(reference: Variant | None, subject: Variant | None) -> str:
    if reference is not None:
        other = reference.canonical_description if subject is None else subject.description
        return f"the reference {reference.description}; the subject {other}"
    assert subject is not None
    return f"the subject {subject.description}; the reference {subject.canonical_description}"


def _whole_transformed(candidates: Candidates) -> list[Hint]:
    """A transform of the subject's whole tensor that gives the reference's, however either is computed."""
    subject, reference = candidates.scene.subject[candidates.key], candidates.scene.reference[candidates.key]
    if not subject.is_floating_point() or subject.numel() < ENOUGH:
        return []
    names = axis_names(candidates.scene, candidates.key, subject.ndim)
    for t in (*scalings(subject.shape), *moves(subject.shape, names), *fitted(subject, reference, subject.shape)):
        value = attempt(partial(t.apply, subject))
        if value is not None and reproduces(value, reference, candidates.tolerance, candidates.before):
            words = f"the reference's numbers are the subject's {t.phrase}"
            return [candidates.hint(words, candidates.key, distance(value, reference))]
    return []


def _wrong_in_part(candidates: Candidates, canonical: Tensor) -> list[Hint]:
    """A variant that the subject computes for some rows along one axis only."""
    first_departing = candidates.first_departing
    given, usual = candidates.interpreter.subject(first_departing), candidates.interpreter.computed(first_departing)
    if usual is None or not candidates.is_recorded(canonical):
        return []
    for part in Part.all_of(usual, given, axis_names(candidates.scene, first_departing, given.ndim)):
        rows = part.of_tensor(given)
        for stage in STAGES:
            for variant, value in candidates.computed(stage, first_departing, rows, None):
                if value.shape == given.shape and equals(part.of_tensor(value), rows):
                    usually = variant.canonical_description
                    words = f"the subject {variant.description}, {part.words}; the reference {usually}"
                    return [candidates.hint(words, first_departing, distance(canonical, candidates.reference))]
    return []
