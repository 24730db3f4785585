"""What an explanation holds. The table on the terminal and the JSON file are made from these objects alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

AS_RUN = "as run"
"""The name of the case in which both programs are run as they are, with training."""

Kind = Literal["as run", "packaged", "given"]
"""What a case is: that one, a packaged recording, or another."""


@dataclass(frozen=True)
class Change:
    """How far the logits and the loss of one run are from those of another, over all segments."""

    largest: float
    """max |logits - others|"""
    rms: float
    """The root of their mean square."""
    loss: float
    """This run's loss less the other's, nats a token."""

    @property
    def is_zero(self) -> bool:
        """Whether there is no difference at all. A NaN is one."""
        return self.largest == 0 and self.loss == 0


@dataclass(frozen=True)
class Contribution:
    """What one row of the ledger does to a case."""

    entry: str
    """The entry's id."""
    row: int | None
    switch: str
    alone: Change
    """From `julia` to `julia` with this row as in `paper`."""
    added: Change
    """From the rows before this one switched on to this one switched on, too."""
    left: Change
    """From there to `paper`."""
    first: str
    """The first tensor that this row alone changes; empty if it changes none."""
    measured: dict[str, float]
    """Of the row alone, the quantities that the ledger gives a size in."""


@dataclass(frozen=True)
class End:
    """One end of the explanation: a program, and what stands for it. True if the port computes the same."""

    program: str
    what: str
    """Whose numbers they are: the recording, live Julia, or the port's own."""
    ratio: float
    """The largest distance of the port's logits and losses from them, in units of what rounding explains.

    0 where the port stands for the program; above 1 is a difference that no row explains.
    """
    where: str = ""
    """The tensor that the ratio is of, and its distance, in words."""

    def __bool__(self) -> bool:
        return self.ratio <= 1


@dataclass(frozen=True)
class Case:
    """Both programs on one set of weights and segments. True if the rows explain all of the difference."""

    name: str
    total: Change
    """From `julia` to `paper`."""
    loss: tuple[float, float]
    """Of `julia` and of `paper`, nats a token."""
    rms: float
    """Of `julia`'s logits."""
    rounding: float | None
    """One unit of rounding of the logits: the most that float32 moves one of them; None where it is not measured."""
    ends: tuple[End, ...]
    contributions: tuple[Contribution, ...]
    problems: tuple[str, ...]
    """What the ledger does not explain, in words."""
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.contributions) and all(self.ends) and not self.problems

    @classmethod
    def stopped(cls, name: str, error: Exception) -> Case:
        """A case in which the port stopped with an error, which no row explains."""
        nothing = Change(math.nan, math.nan, math.nan)
        problem = f"the port stopped: {type(error).__name__}: {error}"
        return cls(name, nothing, (math.nan, math.nan), math.nan, None, (), (), (problem,))


@dataclass(frozen=True)
class Explanation:
    """All cases. True if there are any and the ledger explains each of them."""

    cases: tuple[Case, ...]
    skipped: dict[str, str]
    """Recordings that there is nothing to explain of, each with the reason."""
    ledger: int
    """The ledger's version."""
    seconds: float

    def __bool__(self) -> bool:
        return bool(self.cases) and all(self.cases)

    @property
    def exit_code(self) -> int:
        """0 if everything is explained, else 1."""
        return 0 if self else 1

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; a number that is not finite is None."""
        values = dataclasses.asdict(self)
        for case, values_of_case in zip(self.cases, values["cases"], strict=True):
            values_of_case["explained"] = bool(case)
        plain: dict[str, Any] = _plain({"explained": bool(self), "exit_code": self.exit_code, **values})
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
