"""What the caller of a check asks for besides: tolerances, tensors to skip, and differences that are expected."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from parity.errors import UsageError
from parity.measure import Measure
from parity.recording.names import parse
from parity.results import CaseResult, Comparison
from parity.subject.subject import TracedTensor


@dataclass(frozen=True)
class Terms:
    """Each by patterns, as `fnmatch` has them, of a recorded tensor's whole name or of its own name in any segment."""

    tolerances: Mapping[str, float] = field(default_factory=dict)
    """The largest error of a tensor, instead of what rounding explains."""
    skip: Mapping[str, str] = field(default_factory=dict)
    """Why a tensor is not compared."""
    expected: Mapping[str, str] = field(default_factory=dict)
    """Why a tensor differs."""

    def applied(self, items: Iterable[TracedTensor]) -> Iterator[TracedTensor]:
        """The tensors of a run without those to skip, and with their tolerances."""
        for item in items:
            if matching(self.skip, item.reference) is None or item.problem:
                pattern = matching(self.tolerances, item.reference)
                yield item if pattern is None else replace(item, tolerance=self.tolerances[pattern])

    def shown(self, result: CaseResult) -> CaseResult:
        """The result with all of it in it. Raises `UsageError` for a pattern that no recorded tensor matches.

        An expected difference is skipped, with its reason; where all that is wrong was expected, so is what only
        inherits from it. What was expected to differ and agrees is wrong.
        """
        names = {*result.skipped, *(c.recorded for c in result.comparisons)}
        for option, patterns in (("tolerances", self.tolerances), ("skip", self.skip), ("expected", self.expected)):
            for pattern in patterns:
                if not any(matching([pattern], name) for name in names):
                    raise UsageError(
                        f"{option}: {pattern!r} matches no tensor of {result.name}: give a name or a pattern"
                    )
        skipped = dict(result.skipped)
        for name in skipped:
            if (found := matching(self.skip, name)) is not None:
                skipped[name] = f"as asked ({self.skip[found]})"
        kept: list[Comparison] = []
        for c in result.comparisons:
            reason = matching(self.expected, c.recorded)
            if reason is None:
                kept.append(c)
            elif c.agrees:
                problem = f"it was expected to differ ({self.expected[reason]}), and agrees"
                kept.append(replace(c, verdict="wrong", end_to_end=Measure(False, problem), isolated=None))
            else:
                skipped[c.recorded] = f"differs as expected ({self.expected[reason]})"
        if len(kept) < len(result.comparisons) and all(c.verdict != "wrong" for c in kept):
            for c in kept:
                if not c.agrees:
                    skipped[c.recorded] = "inherits what was expected to differ"
            kept = [c for c in kept if c.agrees]
        notes = [
            f"tolerance {tolerance:g}, as asked: {_some([c.recorded for c in kept if matching([pattern], c.recorded)])}"
            for pattern, tolerance in self.tolerances.items()
        ]
        compared = frozenset(c.recorded for c in kept) & result.compared_names
        skipped = {name: why for name, why in skipped.items() if name not in compared}
        return replace(
            result, comparisons=kept, skipped=skipped, compared_names=compared, notes=[*result.notes, *notes]
        )


def matching(patterns: Iterable[str], name: str) -> str | None:
    """The first of the patterns that a recorded tensor's name matches."""
    own = parse(name).path
    return next((p for p in patterns if fnmatchcase(name, p) or fnmatchcase(own, p)), None)


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
