"""What a run of the suite found. Every report is made from these objects alone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from parity.measure import Measure
from parity.recording.names import TensorName, parse

Verdict = Literal["agrees", "wrong", "inherited"]


@dataclass(frozen=True)
class Hint:
    """Why a layer is wrong. There is none that was not confirmed by recomputing."""

    description: str
    """What the reference does and what the subject does, in a sentence."""
    at: str
    """The tensor whose computation differs: the one compared, or one before it that was not recorded."""
    before: float
    """The layer's isolated error, in units of rounding."""
    after: float
    """The error that is left when the subject's layer is recomputed as the hint says."""
    evidence: str = ""
    """What the hint was confirmed by, where that was not recomputing: a sentence's end."""
    also_at: tuple[str, ...] = ()
    """Other wrong tensors that it explains as well, of those that were looked at."""
    not_at: tuple[str, ...] = ()
    """Other wrong tensors of the layer that were looked at, and that nothing explains."""


@dataclass(frozen=True)
class Comparison:
    """One recorded tensor against the subject; `agrees` unless it is wrong or inherits an error."""

    name: str
    """What was compared; `eval/<segment>/<tensor>` and so on."""
    recorded: str
    """The recorded tensor it was compared with: `name`, unless that tensor has another name."""
    where: str
    """Segment and layer in words."""
    layer: str
    """The tensor's name without its segment or update: a row of the heat map."""
    segment: int | None
    """The segment or update, from 1; None for what belongs to none."""
    exact: bool
    """Whether equality was asked for, as of integers and parameters."""
    shape: tuple[int, ...]
    end_to_end: Measure
    """The error on the subject's own inputs, which includes what was wrong before."""
    isolated: Measure | None
    """The error on the reference's inputs: this layer's own. None where it cannot be isolated."""
    verdict: Verdict
    hints: tuple[Hint, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the verdict is that the tensor agrees."""
        return self.verdict == "agrees"

    @property
    def tensor_name(self) -> TensorName:
        """`name` in its parts."""
        return parse(self.name)

    @property
    def own(self) -> Measure:
        """The measure that the verdict is about: a wrong layer's isolated error, else the error end to end."""
        if self.verdict == "wrong" and self.isolated is not None and not self.isolated.agrees:
            return self.isolated
        return self.end_to_end


@dataclass(frozen=True)
class CaseResult:
    """One recording against one subject. True in a boolean context if it agrees."""

    name: str
    reference: str
    """Whose recording it is."""
    subject: str
    """What was compared with it."""
    recorded: int
    """Tensors (or entries) in the recording."""
    comparisons: list[Comparison]
    """All comparisons, in order of computation."""
    skipped: dict[str, str]
    """Recorded tensors that were not compared, each with the reason."""
    seconds: float
    provenance: dict[str, str] = field(default_factory=dict)
    """How the recording was made, its hash and seed."""
    problem: str = ""
    """Why the case could not be run, if it could not: a fault of the file, not of the subject."""
    compared_names: frozenset[str] = frozenset()
    """Recorded tensors that were compared at least once."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know besides, a line each."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Wrong comparisons that are a known difference: the name of each, to the id of the difference in the ledger."""

    def __bool__(self) -> bool:
        return not self.problem and bool(self.comparisons) and all(c.agrees for c in self.comparisons)

    @property
    def compared(self) -> int:
        """Recorded tensors that were compared at least once."""
        return len(self.compared_names)

    @property
    def divergences(self) -> list[Comparison]:
        """Comparisons that do not agree, in order of computation."""
        return [c for c in self.comparisons if not c.agrees]

    @property
    def wrong(self) -> list[Comparison]:
        """Comparisons that are wrong in isolation, in order of computation."""
        return [c for c in self.comparisons if c.verdict == "wrong"]

    @property
    def inherited(self) -> list[Comparison]:
        """Comparisons that are off only because something before them is."""
        return [c for c in self.comparisons if c.verdict == "inherited"]

    @property
    def isolates(self) -> bool:
        """Whether any layer was run by itself; without, what is wrong is not told from what inherits an error."""
        return any(c.isolated is not None for c in self.comparisons)

    @property
    def first(self) -> Comparison | None:
        """The first wrong layer in order of computation."""
        return next(iter(self.wrong or self.divergences), None)

    @property
    def closest(self) -> Comparison | None:
        """The comparison nearest to, or furthest over, its tolerance."""
        return max((c for c in self.comparisons if not c.exact), key=lambda c: c.own.ratio, default=None)

    @property
    def growth(self) -> dict[int, tuple[float, float]]:
        """By segment, the largest error of the forward pass, end to end and isolated, in units of rounding."""
        grown: dict[int, tuple[float, float]] = {}
        for c in self.comparisons:
            if c.segment is not None and not c.exact and c.tensor_name.is_forward:
                end_to_end, isolated = grown.get(c.segment, (0.0, 0.0))
                own = 0.0 if c.isolated is None else c.isolated.units
                grown[c.segment] = (max(end_to_end, c.end_to_end.units), max(isolated, own))
        return grown

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
    """Versions, settings, providers, the Julia installation."""
    seconds: float
    notes: list[str] = field(default_factory=list)
    """What else a reader should know."""
    live_missing: str = ""
    """Why live Julia, which was asked for, did not run; empty where it ran or was not asked for."""
    live_required: bool = False
    """Whether a run without the live Julia it was asked for has failed."""

    def __bool__(self) -> bool:
        return bool(self.cases) and all(self.cases) and not self.lacks_live

    @property
    def lacks_live(self) -> bool:
        """Whether live Julia was required and did not run."""
        return self.live_required and bool(self.live_missing)

    @property
    def exit_code(self) -> int:
        """0 agreement, 1 divergence, 3 a case that could not be run or required live Julia that did not run."""
        if self.lacks_live or any(case.problem for case in self.cases):
            return 3
        return 0 if self else 1

    @property
    def recorded(self) -> int:
        """How many tensors all cases recorded."""
        return sum(case.recorded for case in self.cases)

    @property
    def compared(self) -> int:
        """Recorded tensors of all cases that were compared at least once."""
        return sum(case.compared for case in self.cases)

    @property
    def comparisons(self) -> int:
        """How many comparisons were made in all cases."""
        return sum(len(case.comparisons) for case in self.cases)

    @property
    def skipped(self) -> Counter[str]:
        """How many tensors were skipped for each reason."""
        return Counter(reason for case in self.cases for reason in case.skipped.values())

    def every(self) -> Iterator[tuple[CaseResult, Comparison]]:
        """Every comparison with its case."""
        return ((case, comparison) for case in self.cases for comparison in case.comparisons)


def of_cases(cases: Iterable[CaseResult], environment: Mapping[str, str] | None = None) -> SuiteResult:
    """The result of cases that were run one by one."""
    cases = list(cases)
    notes = [note for case in cases for note in case.notes]
    return SuiteResult(cases, dict(environment or {}), sum(case.seconds for case in cases), notes)
