"""The two sides of a wrong tensor, the subject's and the recorded one, and the formulas that reproduce each."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from parity.diagnosis.definition import Variant
from parity.diagnosis.interpreter import LONG, UNFIT, Goal, Interpreter, attempt
from parity.diagnosis.matching import distance, equals, floor, reproduces, scale
from parity.diagnosis.variants.everywhere import everywhere
from parity.diagnosis.variants.fitted import fitted_inputs, fitted_parameters
from parity.diagnosis.variants.generic import generic, own_parameters
from parity.diagnosis.variants.rewired import rewired
from parity.diagnosis.variants.scores import scores
from parity.diagnosis.variants.site import Site
from parity.diagnosis.variants.sources import sources
from parity.diagnosis.variants.vectors import vectors
from parity.results import Hint
from parity.subject.scene import Scene
from parity.tolerance import units

Stage = Callable[[Site, Goal | None], Iterator[Variant]]
MOST = 1e-4
"""Of a tensor's scale: within a tolerance beyond it, as of a subject whose numbers are too large, anything is met."""
NEAR = 4.0
"""Units of rounding: formulas that are all within this distance of a recorded tensor cannot be ranked by distance."""

REMEMBERED = 2**13
"""The most elements of a value that is recognised when it comes again: to look at more takes as long as to compute."""


def _compound(site: Site, goal: Goal | None) -> Iterator[Variant]:
    """Two mistakes at once, of an operation that is not one of several like it."""
    if sum(site.scene.operations[node].name == site.operation.name for node in site.interpreter.nodes) == 1:
        yield from site.definition.compound_variants(site.operands)


STAGES: tuple[Stage, ...] = (
    lambda site, goal: site.definition.variants(site.operands),
    fitted_parameters,
    scores,
    generic,
    fitted_inputs,
    rewired,
    everywhere,
    sources,
    _compound,
    vectors,
    own_parameters,
)
"""Where variants come from, in the order they are tried: what the definition knows goes before what may happen to any
operation, or to several."""


@dataclass(frozen=True)
class Match:
    """A formula that reproduces one side's tensor."""

    node: str
    variant: Variant | None
    """None for the canonical formula."""
    value: Tensor
    """The target as the formula makes it."""


class Candidates:
    """The subject's tensor and the recorded one for one key, both within the window that is computed."""

    def __init__(self, scene: Scene, key: str) -> None:
        self.scene, self.key = scene, key
        self.interpreter = Interpreter(scene, key)
        self.reference, self.subject = self.interpreter.recorded(key), self.interpreter.subject(key)
        self.tolerance = self._tolerance(key)
        self.before = distance(scene.subject[key], scene.reference[key])
        """The error of the whole tensor."""
        self.error = distance(self.subject, self.reference)
        self._misleading: set[tuple[str, tuple[int, ...], bytes]] = set()
        """Values, by key, shape and digest, of which the reference's tensor does not come."""

    def _tolerance(self, key: str) -> float:
        reference = self.scene.reference.get(key)
        least, most = (0.0, math.inf) if reference is None else (floor(reference), MOST * scale(reference))
        return max(min(self.scene.rounding.get(key, 0.0), most), least)

    def hint(self, description: str, at: str, after: float) -> Hint:
        """A hint that reduces the error to `after`."""
        operation = self.scene.operations.get(at)
        at = operation.at if operation is not None and operation.at else at
        return Hint(description, at, units(self.before, self.tolerance), units(after, self.tolerance))

    def is_recorded(self, value: Tensor) -> bool:
        """Whether the reference's tensor is `value` within rounding."""
        return reproduces(value, self.reference, self.tolerance, self.error)

    def is_subject(self, value: Tensor) -> bool:
        """Whether the subject's tensor is `value`, exactly or within rounding."""
        return self._nearness(value, self.key) is not None

    def _nearness(self, value: Tensor, key: str, unit: float = 0.0) -> bool | None:
        """Whether the subject's `key` is `value` exactly (True), within rounding (False), or not (None)."""
        subject = self.interpreter.subject(key)
        if equals(value, subject, unit):
            return True
        return False if not unit and reproduces(value, subject, self._tolerance(key) / 2, self.error / 2) else None

    @cached_property
    def first_departing(self) -> str:
        """The first operation of the chain at which the subject departs from the canonical formula."""
        for node in self.interpreter.nodes:
            if node in self.scene.subject and node != self.key:
                value = self.interpreter.value(node)
                if value is not None and not equals(value, self.interpreter.subject(node)):
                    return node
        return self.key

    def subject_matches(self, alternatives: bool) -> list[Match]:
        """The first variant that is the subject's tensor exactly, else the first within rounding, if there is one.

        With `alternatives`, all of the same stage that are exactly the subject's tensor.
        """
        near: list[Match] = []
        for stage in STAGES:
            found: list[Match] = []
            for exact, match in self._subject_matches(stage):
                if exact and not alternatives:
                    return [match]
                (found if exact else near).append(match)
            if found:
                return found
        return near[:1]

    def _subject_matches(self, stage: Stage) -> Iterator[tuple[bool, Match]]:
        departing, interpreter = self.first_departing, self.interpreter
        given = self.interpreter.subject(departing)
        # The departure may be in an earlier operation whose result the subject does not show.
        earlier = interpreter.nodes[: interpreter.nodes.index(departing)]
        nodes = [departing, *(node for node in reversed(earlier) if node not in self.scene.subject)]
        for node in nodes:
            for variant, value in self.computed(stage, node, given, Goal(departing, given)):
                at_departure = interpreter.through({node: value}, departing)
                exact = None if at_departure is None else self._nearness(at_departure, departing, variant.unit)
                if exact is None:
                    continue
                # In half precision what follows is computed from the subject's own numbers.
                own = {departing: given} if variant.unit else {node: value}
                at_target = interpreter.through(own, self.key)
                if at_target is not None and self.is_subject(at_target):
                    yield exact, Match(node, variant, at_target)

    def reference_matches(self, alternatives: bool) -> list[Match]:
        """The first variant whose error is about the smallest: rounding hides which of several such is right.

        With `alternatives`, all of these of the same stage.
        """
        for stage in STAGES:
            matches = list(self._reference_matches(stage))
            errors = [units(distance(match.value, self.reference), self.tolerance) for match in matches]
            nearest = max(NEAR, 2 * min(errors, default=0.0))
            found = [match for error, match in zip(errors, matches, strict=True) if error <= nearest]
            if found:
                return found if alternatives else found[:1]
        return []

    def _reference_matches(self, stage: Stage) -> Iterator[Match]:
        for node in reversed(self.interpreter.nodes):
            for variant, value in self.computed(stage, node, self.reference, Goal(self.key, self.reference)):
                at_target = self._leading_to_recorded(node, value)
                if at_target is not None:
                    yield Match(node, variant, at_target)

    def _leading_to_recorded(self, node: str, value: Tensor) -> Tensor | None:
        """The target where `node` has another value, if that is the reference's within rounding; else None.

        Many variants come to the same, at once or some operations later, so what did not lead there is kept.
        """
        passed = []
        for key, result in self.interpreter.narrows(node, value, self.key):
            if result is not None and result.numel() <= REMEMBERED and result.dtype == torch.float64:
                digest = hashlib.blake2b(result.numpy().tobytes(), digest_size=16).digest()
                passed.append((key, tuple(result.shape), digest))
                if passed[-1] in self._misleading:
                    break
            if key == self.key and result is not None and self.is_recorded(result):
                return result
        self._misleading.update(passed)
        return None

    @cached_property
    def _sites(self) -> dict[str, Site | None]:
        return {node: Site.of(self.interpreter, node) for node in self.interpreter.nodes}

    def computed(self, stage: Stage, node: str, given: Tensor, goal: Goal | None) -> Iterator[tuple[Variant, Tensor]]:
        """A stage's variants of an operation that may explain `given`, each with what it gives.

        On a window, variants that need whole tensors are skipped; for a tensor of zeros, those not meant to give zeros.
        """
        nodes = self.interpreter.nodes
        far = self.interpreter.is_long and node not in nodes[-LONG:]
        site = None if far else self._sites[node]
        zero = scale(given) == 0 and given.numel() > 0 and bool(given.isfinite().all())
        variants = iter(()) if site is None else stage(site, goal)
        while True:
            try:
                variant = next(variants)
            except (StopIteration, *UNFIT):  # what a definition prepares for its variants may not fit these operands
                return
            if (self.interpreter.window.covers_all or not variant.needs_whole_tensor) and (variant.zeros or not zero):
                value = attempt(variant.compute)
                if value is not None:
                    yield variant, value
