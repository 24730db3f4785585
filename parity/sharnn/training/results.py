"""What was found when both sides were trained beside each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from sharnn_py.config import Program


@dataclass(frozen=True)
class Measured:
    """One update of both sides, measured. Distances are Euclidean, over all parameters after the update."""

    number: int
    """From 1."""
    julia_loss: float
    port_loss: float
    """Mean negative log likelihood a token, nats, before the update."""
    loss_allowed: float
    """What the losses may differ by."""
    distance: float
    """Between Julia's parameters and the port's."""
    spread: float
    """The largest between any two of the port's own runs in the same precision, up to this update."""
    allowed: float
    """What `distance` may be."""
    moved: float
    """Between the port's parameters and their start."""

    @property
    def loss_agrees(self) -> bool:
        """Whether both losses are as near each other as the port's own runs explain. False for NaN."""
        return abs(self.julia_loss - self.port_loss) <= self.loss_allowed

    @property
    def agrees(self) -> bool:
        """Whether losses and parameters are. False for NaN."""
        return self.loss_agrees and self.distance <= self.allowed


@dataclass(frozen=True)
class Parameter:
    """A parameter, or a part of the port's LSTM, in the first update that leaves the band."""

    name: str
    """The port's."""
    distance: float
    allowed: float
    share: float | None
    """How many times as far as in Julia the update moved it, where it moved it the same way but for rounding."""


@dataclass(frozen=True)
class Departure:
    """The first update that is not Julia's."""

    measured: Measured
    off: list[Parameter]
    """The parameters that left their own bands, the furthest out first."""


@dataclass(frozen=True)
class Trajectory:
    """Both sides trained in one precision."""

    program: Program
    """Whose optimiser and schedule."""
    precision: str
    """"float64" or "float32"."""
    asked: int
    """Updates that were asked for."""
    updates: list[Measured] = field(default_factory=list)
    first: Departure | None = None
    problem: str = ""
    """Why it ended before its time, or tells nothing."""

    def __bool__(self) -> bool:
        return self.first is None and not self.problem and len(self.updates) == self.asked


@dataclass(frozen=True)
class RecordedUpdates:
    """The optimiser in Julia, held against recorded updates of a program."""

    recording: str
    program: Program
    updates: int
    compared: int
    """Tensors."""
    units: float
    """The largest error, in units of what rounding explains; `parity.tolerance.MULTIPLE` are allowed."""
    wrong: str
    """The first tensor that is off; "" if none is."""

    def __bool__(self) -> bool:
        return not self.wrong


@dataclass(frozen=True)
class TrainingParity:
    """All that was run."""

    recorded: list[RecordedUpdates]
    trajectories: list[Trajectory]
    facts: dict[str, str]
    """What was trained, and on what, in words."""
    seconds: float

    def __bool__(self) -> bool:
        return bool(self.trajectories) and all(self.recorded) and all(self.trajectories)

    @property
    def exit_code(self) -> int:
        """0 if everything agrees, else 1."""
        return 0 if self else 1
