"""Hints for what is wrong in a case.

What explains one tensor may be a coincidence of its numbers: a rate that one update has, a weight that one segment
leaves alone. So a hint is looked for again where the same layer is wrong in another segment or update, and at another
parameter of the same update. One that something else explains there is not said.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from parity.diagnosis.search import alternatives, explain, guesses
from parity.diagnosis.variants.transforms import ENOUGH
from parity.recording.recording import Recording
from parity.results import Comparison, Hint
from parity.subject.scene import Scene
from parity.subject.subject import Subject

Search = Callable[[Scene, str], list[Hint]]

MOST_LAYERS = 40
"""The search covers at most this many layers."""
MOST_UNEXPLAINED = 2
"""Layers whose names differ only in a number are given up after this many searches without a hint."""
PLACES = 2
"""Other segments, and other parameters, in which a hint is looked for until it is found."""
FITTED = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")
COUNT = re.compile(r"(?<![\w.+-])(?<!axis )\d+(?: rows?\b| steps?\b)?")
"""A number that is each segment's own; those in names and of axes are not."""
SCALED = "gives its result scaled by "
NEAR = 1e-3
"""How far apart, relatively, two fitted numbers of one cause may be."""


def diagnosed(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons, with the hints that were confirmed for the first wrong tensor of each layer."""
    seen: set[str] = set()
    unexplained: Counter[str] = Counter()

    def hints_of(c: Comparison, search: Search = explain) -> tuple[Hint, ...]:
        scene = subject.scene(recording, c)
        return () if scene is None else tuple(search(*scene))

    def with_hints(c: Comparison) -> Comparison:
        sort = re.sub(r"\d+", "*", c.layer)
        given_up = len(seen) == MOST_LAYERS or unexplained[sort] == MOST_UNEXPLAINED
        if c.verdict != "wrong" or c.hints or c.layer in seen or given_up:
            return c
        seen.add(c.layer)
        others = _elsewhere(c, comparisons)
        hints = _confirmed(hints_of(c), ((other.name, hints_of(other)) for other in others))
        for search in (alternatives, guesses):
            if not hints and len(others) >= PLACES and (search is alternatives or math.prod(c.shape) < ENOUGH):
                hints = _at_all(hints_of(c, search), ((other.name, hints_of(other, search)) for other in others))
        unexplained[sort] += not hints
        return replace(c, hints=hints)

    return [with_hints(c) for c in comparisons]


def _elsewhere(c: Comparison, comparisons: list[Comparison]) -> list[Comparison]:
    """Where the same cause must show: other segments' wrong tensors of the layer, and a sister's of the same update."""
    wrong = [other for other in comparisons if other.verdict == "wrong" and other is not c]
    segments = [other for other in wrong if other.layer == c.layer][::-1]
    sisters: list[Comparison] = []
    if c.tensor_name.group == "train":
        made = c.tensor_name.path.partition("/")[0]
        sisters = [o for o in wrong if o.segment == c.segment and o.tensor_name.path.startswith(f"{made}/")][::-1]
    return [*sisters[:1], *segments[:PLACES], *sisters[1:PLACES]]


def _confirmed(hints: tuple[Hint, ...], others: Iterable[tuple[str, tuple[Hint, ...]]]) -> tuple[Hint, ...]:
    """The hints that hold at another of these places as well, with its name.

    One is enough: where a segment has as many steps as rows, what explains the others is not the first to explain it.
    If something else explains two of the others alike, that is said: the tensor itself is a special case, as a state
    is that was zero before. Where nothing explains any of the others, the hints stay, and say so.
    """
    looked: dict[str, tuple[Hint, ...]] = {}
    for name, found in others if hints else ():
        confirmed = [hint for hint in hints if any(_same(hint, other) for other in found)]
        if confirmed:
            return tuple(replace(hint, also_at=(name,)) for hint in confirmed)
        alike = [(hint, at) for at, before in looked.items() for hint in before if any(_same(hint, o) for o in found)]
        if alike:
            return tuple(replace(hint, also_at=(at, name)) for hint, at in alike)
        looked[name] = found
    if any(looked.values()):
        return _scaled_variously(hints, looked)
    return tuple(replace(hint, not_at=tuple(looked)) for hint in hints)


def _scaled_variously(hints: tuple[Hint, ...], looked: Mapping[str, tuple[Hint, ...]]) -> tuple[Hint, ...]:
    """A scale that is another number at each place, without what one number would mean; for any other hints, none."""
    scales = {at: [_scale(hint) for hint in found] for at, found in looked.items()}
    if len(hints) != 1 or not all(len(found) == 1 and found[0] for found in scales.values()):
        return ()
    own = _scale(hints[0])
    if own is None or len(looked) < PLACES:
        return ()
    others = ", ".join(f"{found[0]} at {at}" for at, found in scales.items())
    whose = "the subject" if hints[0].description.startswith("the subject") else "the reference"
    other = "the reference" if whose == "the subject" else "the subject"
    words = f"{whose} {SCALED}another number from place to place, {own} here and {others}; {other} as it is"
    return (replace(hints[0], description=words, also_at=tuple(looked)),)


def _scale(hint: Hint) -> str | None:
    """The number, as it is written, by which a hint says that a result is scaled."""
    found = re.search(f"{SCALED}(\\S+)", hint.description)
    return found[1].rstrip(";") if found else None


def _at_all(guessed: tuple[Hint, ...], others: Iterable[tuple[str, tuple[Hint, ...]]]) -> tuple[Hint, ...]:
    """The guess that holds at every one of the others, with the same number; nothing unless it is one."""
    for name, found in others if guessed else ():
        guessed = tuple(
            replace(hint, also_at=(*hint.also_at, name))
            for hint in guessed
            if any(_same(hint, other) for other in found)
        )
    return guessed if len(guessed) == 1 else ()


def _same(one: Hint, other: Hint) -> bool:
    """Whether two hints say the same, but for counts, which are each segment's own, and a fit's last digits."""
    texts = [COUNT.sub("#", FITTED.sub("#.#", hint.description)) for hint in (one, other)]
    # Which are counts of rows, too.
    texts = [text.replace("no rows", "the oldest #").replace("none", "the oldest #") for text in texts]
    if texts[0] != texts[1]:
        return False
    pairs = zip(FITTED.findall(one.description), FITTED.findall(other.description), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=NEAR) for a, b in pairs)
