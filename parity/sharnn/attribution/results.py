"""What an explanation holds. The table on the terminal and the JSON file are made from these objects alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from parity.report.encode import encode

TRAINING_RUN = "as run"
"""The name of the case in which both programs are run as they are, training included."""

Origin = Literal["as run", "packaged", "given"]
"""Where weights and segments come from: that run, a packaged recording, or another recording."""


@dataclass(frozen=True)
class OutputChange:
    """How far the logits and the loss of one run are from those of another, over all segments, in float64."""

    largest: float
    """max |logits - others|"""
    rms: float
    """The root mean square of the logits' differences."""
    loss: float
    """This run's loss less the other's, nats a token."""

    @property
    def is_zero(self) -> bool:
        """Whether there is no difference at all. A NaN counts as one."""
        return self.largest == 0 and self.loss == 0


@dataclass(frozen=True)
class Contribution:
    """What one row of the ledger does to a case."""

    entry: str
    """The entry's id."""
    row: int | None
    switch: str
    alone: OutputChange
    """The change from `julia` to `julia` with this row as in `paper`."""
    added: OutputChange
    """The change from the rows before this one switched on to this one switched on, too."""
    left: OutputChange
    """The change from these rows switched on to `paper`."""
    first: str
    """The first tensor that this row alone changes; empty if it changes none."""
    measured: dict[str, float]
    """The quantities that the ledger gives a size in, measured with this row alone switched on."""


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of the explanation: a program, and what stands for it. True if the port computes the same."""

    program: str
    what: str
    """Whose numbers they are: the recording, live Julia, or the port's own."""
    ratio: float
    """The largest distance of the port's logits and losses from them, in units of what rounding explains.

    0 where the port stands for the program; above 1 is a difference that no row explains.
    """
    where: str = ""
    """The tensor with that ratio, and its distance, in words."""

    def __bool__(self) -> bool:
        return self.ratio <= 1


@dataclass(frozen=True)
class Attribution:
    """The difference of both programs on one set of weights and segments, attributed to the ledger's rows.

    True if the rows explain all of it.
    """

    name: str
    total: OutputChange
    """The change from `julia` to `paper`."""
    loss: tuple[float, float]
    """The losses of `julia` and of `paper`, nats a token."""
    rms: float
    """The root mean square of `julia`'s logits."""
    rounding: float | None
    """One unit of rounding of the logits: the most that float32 moves one of them; None where it is not measured."""
    endpoints: tuple[Endpoint, ...]
    """Julia's, then paper's."""
    contributions: tuple[Contribution, ...]
    problems: tuple[str, ...]
    """What the ledger does not explain, in words."""
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.contributions) and all(self.endpoints) and not self.problems

    @classmethod
    def stopped(cls, name: str, error: Exception) -> Attribution:
        """A case in which the port stopped with an error, which no row explains."""
        nothing = OutputChange(math.nan, math.nan, math.nan)
        problem = f"the port stopped: {type(error).__name__}: {error}"
        return cls(name, nothing, (math.nan, math.nan), math.nan, None, (), (), (problem,))


@dataclass(frozen=True)
class Explanation:
    """All cases. True if there are any and the ledger explains each of them."""

    cases: tuple[Attribution, ...]
    skipped: dict[str, str]
    """Recordings that show nothing of the rows, each with the reason."""
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
        """A JSON-ready dict of the fields; the endpoints of a case are its "ends"."""
        values = dataclasses.asdict(self)
        for case, fields in zip(self.cases, values["cases"], strict=True):
            fields |= {"ends": fields.pop("endpoints"), "explained": bool(case)}
        plain: dict[str, Any] = encode({"explained": bool(self), "exit_code": self.exit_code, **values})
        return plain
