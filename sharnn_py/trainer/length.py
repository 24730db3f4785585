"""How long a run trains, and how far through it any step is: what the learning rate's schedule runs along."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sharnn_py.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Length:
    """An amount of time or of text. Raises `ConfigError` unless exactly one is given, above 0."""

    minutes: float | None = None
    """Minutes by the clock, all that a run does included."""
    epochs: float | None = None
    """Readings of the training text."""

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise ConfigError(f"minutes is {self.minutes} and epochs {self.epochs}; exactly one of them must be given")
        for name, value in (("minutes", self.minutes), ("epochs", self.epochs)):
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value}; it must be above 0 and finite")

    @property
    def seconds(self) -> float | None:
        """Seconds by the clock, if it is a time that was asked for."""
        return None if self.minutes is None else 60 * self.minutes

    def __str__(self) -> str:
        count, unit = (self.epochs, "epoch") if self.minutes is None else (self.minutes, "minute")
        return f"{count:g} {unit}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Plan:
    """Which share of a run is done after how many steps, drawn as a line from where it was made to the run's end.

    A run that ends by the clock makes a new one, from its speed so far, each time it saves; between two saves what
    it does depends on no clock, so that it can be done again.
    """

    begin: int
    """Steps taken when the plan was made."""
    begin_share: float
    """The share of the run that was done then."""
    end: int
    """Steps taken when all of the run is done."""

    def share(self, taken: int) -> float:
        """The share of the run, 0 to 1, that is done after `taken` steps."""
        if taken >= self.end:
            return 1.0
        return self.begin_share + (1 - self.begin_share) * (taken - self.begin) / (self.end - self.begin)

    def remade(self, taken: int, steps_left: float) -> Plan:
        """The plan from here on, where the run is expected to end after `steps_left` more steps."""
        return Plan(taken, self.share(taken), taken + max(1, round(steps_left)))
