"""Training both sides beside each other, and measuring how far they part.

The port is trained three times in the same precision: as `sharnn train` does it, and twice more with every update's
parameters nudged in the last bit, once on the plain layers, whose sums are in another order. How far these runs part
from one another is what rounding does to this very training, up to each update; it grows, as every rounding is carried
on. Julia's run may be `FACTOR` times as far from the port's.

In float64 that is a sharp test: rounding is 2^29 times smaller, and so are these distances, and a fault is not. In
float32 it is the practical one. There the distance may also be what the float64 runs show, times 2^29: at updates that
amplify rounding much, three runs in float32 are few. So that a port cannot buy its band by being imprecise, its float32
runs may part no further than `FACTOR` times that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import combinations

import torch
from torch import Tensor

from parity.sharnn.training.case import Case
from parity.sharnn.training.port import How, Step, port_start, port_steps
from parity.sharnn.training.results import Departure, Measured, Parameter, Trajectory
from parity.threads import one_thread
from parity.tolerance import UNIT
from sharnn_py.trainer.watch import TrainingError

FACTOR = 4.0
"""Times the distance of the port's own runs that Julia's may be from the port's. In 24 runs of 200 updates
(docs/training_parity.md) it was at most 0.63 times in float64 and 1.8 in float32."""
LOSS_UNITS = 16.0
"""Units of rounding, at its size, that a loss may always be off: what is rounded inside the loss, nudged parameters do
not show. In the first 15 updates of the same runs, where the parameters hardly differ, it was less than 5."""
LARGEST_SPREAD = 1e-4
"""Of how far training has moved the parameters: where two float64 runs part further, the training is chaos."""

Progress = Callable[[int], object]


def compare(
    case: Case,
    julia: Iterable[Step],
    dtype: torch.dtype,
    exact: Trajectory | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Train the port on `case` beside `julia`, the same training in the same `dtype`.

    `exact` is the result in float64, which what float32 may explain is taken from. What goes wrong in the port, a
    loss that is not finite included, is part of the result; what `julia` raises is raised.
    """
    precision = str(dtype).removeprefix("torch.")
    found = Trajectory(case.program, precision, case.updates)
    hows = [How(dtype), How(dtype, plain_layers=True, nudged=1), How(dtype, nudged=2)]
    first: Departure | None = None
    bands = _Bands(port_start(case), dtype)
    with one_thread():
        runs = [port_steps(case, how) for how in hows]
        for number, theirs in enumerate(julia, start=1):
            try:
                ours = [next(run) for run in runs]
            except TrainingError as error:
                return _ended(found, first, f"update {number} in Julia has loss {theirs.loss:.6g}; the port: {error}")
            measured = bands.measure(number, theirs, ours, _explained(number, dtype, exact))
            found.updates.append(measured)
            if first is None and not measured.agrees:
                first = bands.departure(measured, theirs, ours[0])
            if first is None and (problem := _says_nothing(measured, dtype, exact)):
                return _ended(found, None, problem)
            bands.take(theirs, ours[0])
            if progress is not None:
                progress(number)
    return _ended(found, first, "")


def _ended(found: Trajectory, first: Departure | None, problem: str) -> Trajectory:
    return Trajectory(found.program, found.precision, found.asked, found.updates, first, problem)


def _says_nothing(measured: Measured, dtype: torch.dtype, exact: Trajectory | None) -> str:
    """Why agreement would be no news; "" if it is."""
    number, spread = measured.number, measured.spread
    if dtype == torch.float64:
        if spread <= LARGEST_SPREAD * max(measured.moved, UNIT[torch.float64]):
            return ""
        return (
            f"after update {number} two float64 runs of the port itself are {spread:.2g} apart, so nothing can be told"
        )
    explained = _explained(number, dtype, exact)
    if exact is None or spread <= FACTOR * explained:
        return ""
    return (
        f"after update {number} two runs of the port itself are {spread:.2g} apart, where its float64 runs say that "
        f"this format's rounding explains {explained:.2g}: it computes with less precision"
    )


def _explained(number: int, dtype: torch.dtype, exact: Trajectory | None) -> float:
    """How far the runs in float64 say that runs in `dtype` part; 0 where there are none to say so."""
    if exact is None or len(exact.updates) < number:
        return 0.0
    return exact.updates[number - 1].spread * UNIT[dtype] / UNIT[torch.float64]


class _Bands:
    """How far the port's runs were from one another so far, and where both sides were before the update."""

    def __init__(self, start: dict[str, Tensor], dtype: torch.dtype) -> None:
        self.unit = UNIT[dtype]
        self.loss = self.whole = 0.0
        self.each: dict[str, float] = {}
        self.start = start
        self.before = start, start

    def measure(self, number: int, theirs: Step, ours: list[Step], explained: float) -> Measured:
        port = ours[0]
        for one, other in combinations(ours, 2):
            apart = _distances(one.parameters, other.parameters)
            self.whole = max(self.whole, math.hypot(*apart.values()))
            self.each = {name: max(self.each.get(name, 0.0), distance) for name, distance in apart.items()}
            self.loss = max(self.loss, abs(one.loss - other.loss))
        return Measured(
            number=number,
            julia_loss=theirs.loss,
            port_loss=port.loss,
            loss_allowed=max(FACTOR * self.loss, LOSS_UNITS * self.unit * abs(port.loss)),
            distance=math.hypot(*_distances(theirs.parameters, port.parameters).values()),
            spread=self.whole,
            allowed=FACTOR * max(self.whole, explained),
            moved=math.hypot(*_distances(port.parameters, self.start).values()),
        )

    def take(self, theirs: Step, ours: Step) -> None:
        """Both sides as they are after an update, for the next."""
        self.before = theirs.parameters, ours.parameters

    def departure(self, measured: Measured, theirs: Step, ours: Step) -> Departure:
        """What is to be said of the first update that leaves the band."""
        apart = _distances(theirs.parameters, ours.parameters)
        off = [
            Parameter(name, distance, FACTOR * self.each[name], self._share(name, theirs, ours))
            for name, distance in apart.items()
            if not distance <= FACTOR * self.each[name]  # a NaN is off
        ]
        return Departure(measured, sorted(off, key=lambda p: -p.distance / p.allowed if p.allowed else -math.inf))

    def _share(self, name: str, theirs: Step, ours: Step) -> float | None:
        julia = (theirs.parameters[name].double() - self.before[0][name].double()).flatten()
        port = (ours.parameters[name].double() - self.before[1][name].double()).flatten()
        if not julia.any():
            return None
        share = float(port @ julia / (julia @ julia))
        rest = float((port - share * julia).norm())
        return share if rest <= FACTOR * self.each[name] else None


def _distances(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, float]:
    """The Euclidean distance of each parameter."""
    norms = [torch.linalg.vector_norm(tensor.double() - other[name].double()) for name, tensor in one.items()]
    return dict(zip(one, torch.stack(norms).tolist(), strict=True))
