"""Hints for what is wrong in a case.

What explains one tensor may be a coincidence of its numbers: a rate that one update has, a weight that one segment
leaves alone. So a hint is looked for again where the same layer is wrong in another segment or update, and at another
parameter of the same update. One that something else explains there is not said.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from parity.diagnosis.agreement import held, same, scaled_variously
from parity.diagnosis.search import alternatives, explain, guesses
from parity.diagnosis.updates import Updates
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
"""Other segments in which a hint is looked for until it is found."""


def diagnosed(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons, with the hints that were confirmed for the first wrong tensor of each layer."""
    seen: set[str] = set()
    unexplained: Counter[str] = Counter()

    def hints_of(c: Comparison, search: Search = explain) -> tuple[Hint, ...]:
        scene = subject.scene(recording, c)
        return () if scene is None else tuple(search(*scene))

    updates = Updates(comparisons, lambda c: hints_of(c, alternatives))

    def with_hints(c: Comparison) -> Comparison:
        sort = re.sub(r"\d+", "*", c.layer)
        given_up = len(seen) == MOST_LAYERS or unexplained[sort] == MOST_UNEXPLAINED
        if c.verdict != "wrong" or c.hints or c.layer in seen or given_up:
            return c
        seen.add(c.layer)
        hints = updates.hints(c) if c.tensor_name.group == "train" else _in_segments(c, comparisons, hints_of)
        unexplained[sort] += not hints
        return replace(c, hints=hints)

    return [with_hints(c) for c in comparisons]


def _in_segments(
    c: Comparison, comparisons: list[Comparison], hints_of: Callable[[Comparison, Search], tuple[Hint, ...]]
) -> tuple[Hint, ...]:
    """The hints that hold at the layer in other segments as well."""
    segments = [o for o in comparisons if o.verdict == "wrong" and o is not c and o.layer == c.layer][::-1]
    others, first = segments[:PLACES], hints_of(c, explain)
    hints = _confirmed(first, ((other.name, hints_of(other, explain)) for other in others))
    if hints or not others:
        return hints
    if first:
        found = held(hints_of(c, alternatives), ((other.name, hints_of(other, alternatives)) for other in others))
        return found[:1] or scaled_variously(first, {other.name: hints_of(other, explain) for other in others})
    if math.prod(c.shape) < ENOUGH and len(others) == PLACES:
        found = held(hints_of(c, guesses), ((other.name, hints_of(other, guesses)) for other in others))
        return found if len(found) == 1 else ()
    return ()


def _confirmed(hints: tuple[Hint, ...], others: Iterable[tuple[str, tuple[Hint, ...]]]) -> tuple[Hint, ...]:
    """The hints that hold at another of these places as well, with its name.

    One is enough: where a segment has as many steps as rows, what explains the others is not the first to explain it.
    If something else explains two of the others alike, that is said: the tensor itself is a special case, as a state
    is that was zero before. Where nothing explains any of the others, the hints stay, and say so.
    """
    looked: dict[str, tuple[Hint, ...]] = {}
    for name, found in others if hints else ():
        confirmed = [hint for hint in hints if any(same(hint, other) for other in found)]
        if confirmed:
            return tuple(replace(hint, also_at=(name,)) for hint in confirmed)
        alike = [(hint, at) for at, before in looked.items() for hint in before if any(same(hint, o) for o in found)]
        if alike:
            return tuple(replace(hint, also_at=(at, name)) for hint, at in alike)
        looked[name] = found
    if any(looked.values()):
        return ()
    return tuple(replace(hint, not_at=tuple(looked)) for hint in hints)
