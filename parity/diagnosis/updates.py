"""Hints of what an update made, a parameter or its moments.

One rule makes all parameters' updates, so that a hint must hold at the other parameters and in the other updates. Of
one parameter alone, much says the same: where its trust ratio is at the floor, twice the floor is twice the rate; in
the first update, where moments start from zeros, a bias is corrected by a constant.
"""

from collections.abc import Callable
from dataclasses import replace

from parity.diagnosis.agreement import same, scaled_variously
from parity.results import Comparison, Hint

SISTERS = 8
"""Parameters of one update that are asked, spread evenly over all that are wrong."""
UPDATES = 2
"""Other updates of a parameter that are asked."""
SHARE = 0.8
"""The share of the parameters asked at which a hint holds: one may be off by so little that rounding hides it."""

Explained = Callable[[Comparison], tuple[Hint, ...]]


class Updates:
    """What all of a case's updates have to say of one another."""

    def __init__(self, comparisons: list[Comparison], explained: Explained) -> None:
        self.off = [c for c in comparisons if c.tensor_name.group == "train" and _can_be_explained(c)]
        self._explained = explained
        self._found: dict[str, tuple[Hint, ...]] = {}
        self._said: dict[str, Hint] = {}
        """Hints that were held to others, by the tensor they were said of first."""

    def _hints(self, c: Comparison) -> tuple[Hint, ...]:
        """All that may be said of one tensor by itself."""
        if c.name not in self._found:
            self._found[c.name] = self._explained(c)
        return self._found[c.name]

    def hints(self, c: Comparison) -> tuple[Hint, ...]:
        """The hint of one tensor that holds at the others, too; none if there is no such."""
        hints = self._hints(c)
        if not hints:
            return ()
        for at, said in self._said.items():
            for hint in hints:
                if same(hint, said, counts=False):
                    return (replace(hint, also_at=(at,)),)
        updates = self._telling([o for o in self.off if o.layer == c.layer and o is not c][::-1][:UPDATES])
        sisters = self._telling(self._sisters(c))
        ranked = sorted(hints, key=lambda hint: -len(self._agreeing(hint, sisters)))
        for hint in ranked:
            agreeing, later = self._agreeing(hint, sisters), self._agreeing(hint, updates)
            if len(agreeing) >= SHARE * len(sisters) and (later or not updates):
                differing = [o.name for o in sisters if o not in agreeing]
                places = [o.name for o in (*agreeing[:1], *later[:1])]
                self._said[c.name] = hint
                return (replace(hint, also_at=tuple(places), not_at=tuple(differing)),)
        return self._scaled(hints[:1], sisters, updates)

    def _scaled(
        self, hints: tuple[Hint, ...], sisters: list[Comparison], updates: list[Comparison]
    ) -> tuple[Hint, ...]:
        """A scale that differs: where all parameters of an update have the same, it is the rate's."""
        if updates and len(self._agreeing(hints[0], sisters)) >= SHARE * len(sisters):
            return scaled_variously(hints, {o.name: self._hints(o)[:1] for o in updates}, " (another schedule)")
        return scaled_variously(hints, {o.name: self._hints(o)[:1] for o in (*sisters[:1], *updates)})

    def _telling(self, others: list[Comparison]) -> list[Comparison]:
        """Those whose error is their own. What is inherited may come of moments that an earlier update spoilt."""
        return [o for o in others if o.verdict == "wrong" or self._hints(o)]

    def _sisters(self, c: Comparison) -> list[Comparison]:
        made = _made(c)
        found = [o for o in self.off if o.segment == c.segment and o is not c and _made(o) == made]
        step = max(1, len(found) / SISTERS)
        return [found[int(k * step)] for k in range(min(len(found), SISTERS))]

    def _agreeing(self, hint: Hint, others: list[Comparison]) -> list[Comparison]:
        return [o for o in others if any(same(hint, other, counts=False) for other in self._hints(o))]


def _made(c: Comparison) -> str:
    """What the update made: the parameter or one of its moments."""
    return c.tensor_name.path.partition("/")[0]


def _can_be_explained(c: Comparison) -> bool:
    """Whether it is off on the reference's inputs; of what depends on the whole model, only the first is `wrong`."""
    return c.verdict == "wrong" or (c.verdict == "inherited" and c.isolated is not None and not c.isolated.agrees)
