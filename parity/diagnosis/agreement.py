"""Whether hints of several places say the same."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from parity.results import Hint

FITTED = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")
COUNT = re.compile(r"(?<![\w.+-])(?<!axis )\d+(?: rows?\b| steps?\b)?")
"""A number that is each segment's own; those in names and of axes are not."""
OWN = re.compile(r"\([-+\d.e]+\)")
"""A number in brackets, which is a place's own."""
SCALED = "gives its result scaled by "
NEAR = 1e-3
"""How far apart, relatively, two fitted numbers of one cause may be."""


def same(one: Hint, other: Hint, counts: bool = True) -> bool:
    """Whether two hints say the same, but for a fit's last digits and, with `counts`, each segment's own counts.

    Without `counts` what the other side does is left aside: one parameter decays in the reference, and one does not.
    """
    said = [OWN.sub("", hint.description) for hint in (one, other)]
    said = said if counts else [text.partition(";")[0] for text in said]
    texts = [FITTED.sub("#.#", text) for text in said]
    if counts and SCALED not in one.description:
        # "no rows" and "none" are counts of rows, too.
        texts = [COUNT.sub("#", text).replace("no rows", "the oldest #") for text in texts]
        texts = [text.replace("none", "the oldest #") for text in texts]
    if texts[0] != texts[1]:
        return False
    pairs = zip(*map(FITTED.findall, said), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=NEAR) for a, b in pairs)


def held(hints: tuple[Hint, ...], others: Iterable[tuple[str, tuple[Hint, ...]]]) -> tuple[Hint, ...]:
    """The hints that hold at every one of the other places, with the places' names."""
    for name, found in others if hints else ():
        kept = [hint for hint in hints if any(same(hint, other) for other in found)]
        hints = tuple(replace(hint, also_at=(*hint.also_at, name)) for hint in kept)
    return hints


def scaled_variously(
    hints: tuple[Hint, ...], elsewhere: Mapping[str, tuple[Hint, ...]], meaning: str = ""
) -> tuple[Hint, ...]:
    """A scale that is another number at each place, with what that means, if it is known; for any other hints, none.

    What one number would mean is left out.
    """
    scales = {at: [_scale(hint) for hint in found] for at, found in elsewhere.items()}
    own = _scale(hints[0]) if len(hints) == 1 else None
    if own is None or not scales or not all(len(found) == 1 and found[0] for found in scales.values()):
        return ()
    others = " and ".join(dict.fromkeys(str(found[0]) for found in scales.values()))
    sides = ("the subject", "the reference")
    whose, other = sides if hints[0].description.startswith("the subject") else sides[::-1]
    words = f"{whose} {SCALED}another number from place to place, {own} here and {others} there{meaning}"
    return (replace(hints[0], description=f"{words}; {other} as it is", also_at=tuple(elsewhere)),)


def _scale(hint: Hint) -> str | None:
    """The number, as it is written, by which a hint says that a result is scaled."""
    found = re.search(f"{SCALED}([^;(]+[^;( ])", hint.description)
    return found[1] if found else None
