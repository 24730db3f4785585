"""The results of planting faults and of running controls."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from parity.sharnn.faults.fault import Fault

LEAST_DIAGNOSED = 0.8
"""The share of the faults that the suite must explain."""


@dataclass(frozen=True)
class Outcome:
    """One fault, and what the suite found. True in a boolean context if it was caught, at the right tensor."""

    fault: Fault
    first: str | None
    """The first wrong tensor; None if none was."""
    description: tuple[str, ...]
    """Why, as the suite says it: every hint, else what it says is wrong with the tensor beyond its distance."""
    units: float
    """That tensor's own error, in units of what rounding explains."""
    wrong: int
    """Comparisons that are wrong in isolation."""
    inherited: int
    seconds: float
    problem: str = ""
    """Why the recording could not be run at all, if it could not: then nothing was found."""

    def __bool__(self) -> bool:
        return self.caught and self.localised

    @property
    def caught(self) -> bool:
        return self.first is not None

    @property
    def localised(self) -> bool:
        return self.first == self.fault.first

    @property
    def reason(self) -> str:
        """The diagnosis that names the fault; empty if there is none."""
        expected = self.fault.hint
        if expected is None or not self.localised:
            return ""
        return next((said for said in self.description if re.search(expected, said)), "")

    @property
    def diagnosed(self) -> bool:
        return bool(self.reason)


@dataclass(frozen=True)
class Control:
    """One control: a random case without a fault. True in a boolean context if it raised no alarm."""

    seed: int
    model: str
    """Semantics and sizes, in words."""
    way: str
    """How the recording was computed."""
    comparisons: int
    alarms: tuple[str, ...]
    """Comparisons that do not agree, or why there are none."""
    worst: str
    """The comparison nearest to its tolerance."""
    units: float
    """The error of `worst`, in units of rounding."""
    seconds: float

    def __bool__(self) -> bool:
        return not self.alarms and self.comparisons > 0


@dataclass(frozen=True)
class FaultsResult:
    """A whole run. True in a boolean context if every fault was caught, at the right tensor, enough of them were
    explained, and no control raised an alarm."""

    outcomes: Sequence[Outcome]
    cases: Sequence[Control]
    seconds: float

    def __bool__(self) -> bool:
        enough = self.diagnosed >= LEAST_DIAGNOSED * len(self.outcomes)
        return bool(self.outcomes) and all(self.outcomes) and enough and all(self.cases)

    @property
    def caught(self) -> int:
        return sum(o.caught for o in self.outcomes)

    @property
    def localised(self) -> int:
        return sum(o.localised for o in self.outcomes)

    @property
    def diagnosed(self) -> int:
        return sum(o.diagnosed for o in self.outcomes)

    @property
    def alarms(self) -> int:
        """Control cases that raised one."""
        return sum(not case for case in self.cases)

    @property
    def exit_code(self) -> int:
        return 0 if self else 1
