"""What a run of the suite found. Every report is made from these objects alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from parity.compare import Comparison


@dataclass(frozen=True)
class CaseResult:
    """One recording against the port. True in a boolean context if it agrees."""

    name: str
    program: str
    """The program that was recorded."""
    semantics: str
    """What the port computed: 'julia', 'paper', or one of them with the switches that were flipped."""
    recorded: int
    """Tensors (or entries) in the recording."""
    comparisons: list[Comparison]
    """In order of computation; a tensor replayed in two ways is in it twice."""
    left_out: dict[str, str]
    """Recorded tensors that were not compared, each with the reason."""
    seconds: float
    provenance: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    """Why the case could not be run, if it could not: a fault of the file, not of the port."""

    def __bool__(self) -> bool:
        return not self.problem and bool(self.comparisons) and all(self.comparisons)

    @property
    def compared(self) -> int:
        """Recorded tensors that were compared at least once."""
        return len({c.name for c in self.comparisons})

    @property
    def divergences(self) -> list[Comparison]:
        """Comparisons that do not agree, in order of computation."""
        return [c for c in self.comparisons if not c]

    @property
    def first(self) -> Comparison | None:
        """The first divergence in order of computation."""
        return next((c for c in self.comparisons if not c), None)

    @property
    def closest(self) -> Comparison | None:
        """The comparison nearest to, or furthest over, its tolerance."""
        return max((c for c in self.comparisons if not c.exact), key=lambda c: c.ratio, default=None)

    @property
    def verdict(self) -> str:
        """'agrees', 'diverges', or 'error'."""
        if self.problem:
            return "error"
        return "agrees" if self else "diverges"


@dataclass(frozen=True)
class SuiteResult:
    """All cases of a run. True in a boolean context if there are any and all agree."""

    cases: list[CaseResult]
    environment: dict[str, str]
    """Versions and settings of the run."""
    seconds: float
    notes: list[str] = field(default_factory=list)
    """What a reader should know besides."""

    def __bool__(self) -> bool:
        return bool(self.cases) and all(self.cases)

    def without_live(self, reason: str, is_fault: bool) -> SuiteResult:
        """This result, saying that live Julia was not available; as a case that could not be run if `is_fault`."""
        words = f"live Julia was not available: {reason}"
        if not is_fault:
            return replace(self, notes=[*self.notes, words])
        missing = CaseResult("live", "julia", "julia", 0, [], {}, 0.0, problem=words)
        return replace(self, cases=[*self.cases, missing])

    @property
    def exit_code(self) -> int:
        """0 agreement, 1 divergence, 3 a case that could not be run."""
        if any(case.problem for case in self.cases):
            return 3
        return 0 if self else 1

    @property
    def recorded(self) -> int:
        return sum(case.recorded for case in self.cases)

    @property
    def compared(self) -> int:
        return sum(case.compared for case in self.cases)

    @property
    def comparisons(self) -> int:
        return sum(len(case.comparisons) for case in self.cases)

    @property
    def left_out(self) -> Counter[str]:
        """How many tensors were left out for each reason."""
        return Counter(reason for case in self.cases for reason in case.left_out.values())
