"""The two sides of a wrong tensor, the subject's and the recorded one, and the formulas that reproduce each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import UNFIT, Goal, Interpreter, attempt
from parity.diagnosis.matching import distance, equals, floor, reproduces, scale, units
from parity.diagnosis.variants.fitted import fitted_inputs, fitted_parameters
from parity.diagnosis.variants.generic import generic, own_parameters
from parity.diagnosis.variants.rewired import rewired
from parity.subject.scene import Scene

Stage = Callable[[Interpreter, str, Goal | None], Iterator[Variant]]
NEAR = 4.0
"""Units of rounding within which a recorded tensor is as near to one formula as to another."""


def known_variants(interpreter: Interpreter, node: str, goal: Goal | None) -> Iterator[Variant]:
    """The variants that the step's definition knows."""
    definition = interpreter.definition(node)
    if definition is not None:
        yield from definition.variants(interpreter.operands(node))


def compound_variants(interpreter: Interpreter, node: str, goal: Goal | None) -> Iterator[Variant]:
    """The variants of the step's definition that make two mistakes at once."""
    definition = interpreter.definition(node)
    if definition is not None:
        yield from definition.compound_variants(interpreter.operands(node))


STAGES: tuple[Stage, ...] = (
    known_variants,
    fitted_parameters,
    generic,
    fitted_inputs,
    rewired,
    compound_variants,
    own_parameters,
)
"""Where variants come from: what the definition knows goes before what may happen to any step, or to several."""


@dataclass(frozen=True)
class Match:
    """A way to compute a tensor that reproduces one side."""

    node: str
    variant: Variant | None
    """None for the canonical formula."""
    value: Tensor
    """Of the target."""


class Candidates:
    """What the subject has for one key and what was recorded of it, in the window that is looked at."""

    def __init__(self, scene: Scene, key: str) -> None:
        self.scene, self.key = scene, key
        self.interpreter = Interpreter(scene, key)
        window = self.interpreter.window
        self.reference, self.subject = window.cut(key, scene.reference[key]), window.cut(key, scene.subject[key])
        self.tolerance = self._tolerance(key)
        self.before = distance(scene.subject[key], scene.reference[key])
        """The error of the whole tensor."""
        self.error = distance(self.subject, self.reference)

    def _tolerance(self, key: str) -> float:
        reference = self.scene.reference.get(key)
        least = 0.0 if reference is None else floor(reference)
        return max(self.scene.rounding.get(key, 0.0), least)

    def units(self, error: float) -> float:
        """An error in units of rounding."""
        return units(error, self.tolerance)

    def is_recorded(self, value: Tensor) -> bool:
        """Whether the reference's tensor is `value` but for rounding."""
        return reproduces(value, self.reference, self.tolerance, self.error)

    def is_subject(self, value: Tensor) -> bool:
        """Whether the subject's tensor is `value`, exactly or within rounding."""
        return self._nearness(value, self.key) is not None

    def subject_of(self, key: str) -> Tensor:
        """What the subject has for a key that it has something for."""
        return self.interpreter.window.cut(key, self.scene.subject[key])

    def _nearness(self, value: Tensor, key: str, unit: float = 0.0) -> bool | None:
        """Whether the subject's `key` is `value` exactly (True), within rounding (False), or not (None)."""
        subject = self.subject_of(key)
        if equals(value, subject, unit):
            return True
        return False if not unit and reproduces(value, subject, self._tolerance(key) / 2, self.error / 2) else None

    @cached_property
    def first_departing(self) -> str:
        """The first step of the chain at which the subject departs from the canonical formula."""
        for node in self.interpreter.nodes:
            if node in self.scene.subject and node != self.key:
                value = self.interpreter.value(node)
                if value is not None and not equals(value, self.subject_of(node)):
                    return node
        return self.key

    def subject_match(self) -> Match | None:
        """The first variant that is the subject's tensor exactly, else the first within rounding."""
        near = None
        for exact, way in self._subject_matches():
            if exact:
                return way
            near = near or way
        return near

    def _subject_matches(self) -> Iterator[tuple[bool, Match]]:
        first_departing, interpreter = self.first_departing, self.interpreter
        given = self.subject_of(first_departing)
        # Steps before it that the subject shows nothing of may be what departs.
        earlier = interpreter.nodes[: interpreter.nodes.index(first_departing)]
        nodes = [first_departing, *(node for node in reversed(earlier) if node not in self.scene.subject)]
        for stage in STAGES:
            for node in nodes:
                for variant in self.usable(stage(interpreter, node, Goal(first_departing, given)), given):
                    value = attempt(variant.compute)
                    at_suspect = None if value is None else interpreter.through(node, value, first_departing)
                    exact = None if at_suspect is None else self._nearness(at_suspect, first_departing, variant.unit)
                    if exact is None or value is None:
                        continue
                    # In half precision what follows goes on from the subject's own numbers.
                    own = (first_departing, given) if variant.unit else (node, value)
                    at_target = interpreter.through(*own, self.key)
                    if at_target is not None and self.is_subject(at_target):
                        yield exact, Match(node, variant, at_target)

    def reference_match(self) -> Match | None:
        """The first variant that is about as near to the reference as the nearest: rounding hides which is nearer."""
        for stage in STAGES:
            ways = [(self.units(distance(way.value, self.reference)), way) for way in self._reference_matches(stage)]
            nearest = min((distant for distant, _ in ways), default=0.0)
            for distant, way in ways:
                if distant <= max(NEAR, 2 * nearest):
                    return way
        return None

    def _reference_matches(self, stage: Stage) -> Iterator[Match]:
        for node in reversed(self.interpreter.nodes):
            for variant in self.usable(stage(self.interpreter, node, Goal(self.key, self.reference)), self.reference):
                value = attempt(variant.compute)
                at_target = None if value is None else self.interpreter.through(node, value, self.key)
                if at_target is not None and self.is_recorded(at_target):
                    yield Match(node, variant, at_target)

    def usable(self, variants: Iterator[Variant], given: Tensor) -> Iterator[Variant]:
        """Variants that can be told here: not on a window what needs the whole, of zeros only what is meant to be."""
        zero = scale(given) == 0 and given.numel() > 0 and bool(given.isfinite().all())
        while True:
            try:
                variant = next(variants)
            except (StopIteration, *UNFIT):  # what a definition prepares for its variants may not fit these operands
                return
            if (self.interpreter.window.covers_all or not variant.needs_whole_tensor) and (variant.zeros or not zero):
                yield variant
