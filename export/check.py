"""Whether an export computes what its model computes: carried segments and steps are replayed beside PyTorch.

The truth is the PyTorch model in float64. What rounding does to a number is seen in several runs of PyTorch in the
export's own precision (`export.replicas`), one plain and the others with every parameter nudged by at most its last
bit: it is the root mean square of their distances from the truth. An export passes if it is no further from the truth
than `MULTIPLE` times `CHANCE` times what rounding does. That is required of logits, h, c and memory after every segment
and step, in every block, of all their numbers together (root mean squares) and, so that no single wrong number hides in
a mean, of the furthest number (where the number that rounding moves most is what it is compared with).
`parity.tolerance.FLOOR` units in the last place are always allowed. docs/onnx.md tells how the numbers were found, and
how far exports were found to be.

Small weights (`--weights`) are compared with a model that has the same weights, and whose runs round activations as the
products do (`export.rounded`): what the rounding of weights costs is a matter of bits per byte, not of whether the
graphs are right.

The int8 step has no counterpart in PyTorch. It passes if its distance is below `INT8_SHARE` of what it computes, both
as root mean squares: random models were seen at 0.008 in the median and at 0.04 at most, and a wrong graph is at 1.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.graph.small_weights import weights_of
from export.manifest import CHECKING, SERVING, Manifest
from export.replicas import truth_and_replicas
from export.serving.onnx_sessions import OnnxSessions, StepPrecision
from export.serving.providers import Provider
from export.serving.segment_state import Layers
from export.serving.session import Session
from parity.tolerance import FLOOR, UNIT
from sharnn_py.checkpoint import load_checkpoint
from sharnn_py.config import Config
from sharnn_py.memory import most_keys_of_a_step
from sharnn_py.model import SHARNN
from sharnn_py.state import LayerState, State

MULTIPLE = 2.0
"""How many times as far as PyTorch rounding may take an export, but for chance: its kernels are others. Exports of
models of width 2, whose LayerNorm has next to nothing to divide by, were seen to need it."""
CHANCE = 9.0
"""How many times the root mean square of 16 runs another run may be by chance.

Rounding moves a small model's numbers along few directions. Where there is one, a run is a normal number times that
direction, and its share of the root mean square of 16 others is Student's t with 16 degrees of freedom, which is beyond
9 in one of ten million cases; more directions make it rarer. A check compares some hundreds of such shares.
"""
KNOWN, KNOWN_UNITS = 2.0, 100.0
"""Where small weights have activations rounded to 8 bits, the runs round them as the export does, and what that does is
no matter of chance: 30 random exports were within 1.04 of it. `KNOWN` stands for `CHANCE` where the runs are further
from the truth than `KNOWN_UNITS` units in the last place, which only such rounding takes them."""
INT8_SHARE = 0.1
"""The error that an int8 step is allowed, as a share of what it computes."""
SEED = 0
"""What the replayed tokens and states are drawn from."""
QUANTITIES = ("logits", "h", "c", "memory")
"""What is compared after every segment and step."""
Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Replay:
    """Successive segments that carry their state, beginning with a random one."""

    batch: int
    """B, number of sequences."""
    rows: int
    """M, memory rows to begin with."""
    segments: tuple[int, ...]
    """T of each segment."""
    stepwise: bool
    """Whether the export computes segments of one step by its `step` graph."""


@dataclass
class Errors:
    """Distances of one quantity from the truth, gathered over replays."""

    squares: float = 0.0
    largest: float = 0.0
    compared: int = 0

    def add(self, given: Array, truth: Array) -> None:
        if given.shape != truth.shape:  # infinitely wrong, so that the report shows it
            self.squares, self.largest, self.compared = np.inf, np.inf, self.compared + truth.size
            return
        self._gather(np.abs(given.astype(np.float64) - truth))

    def add_runs(self, runs: Sequence[Array], truth: Array) -> None:
        """Add, number by number, the root mean square distance of several runs."""
        squares = sum(np.square(given.astype(np.float64) - truth) for given in runs)
        self._gather(np.sqrt(squares / len(runs)))

    def _gather(self, distance: NDArray[np.float64]) -> None:
        self.squares += float(np.square(distance).sum())
        self.largest = float(np.maximum(self.largest, distance.max(initial=0.0)))  # keeps a NaN, as max would not
        self.compared += distance.size

    @property
    def rms(self) -> float:
        return float(np.sqrt(self.squares / max(self.compared, 1)))


@dataclass
class Nearest:
    """The distances of one quantity where they are nearest to what is allowed, gathered over replays and blocks."""

    compared: int = 0
    rms: tuple[float, float] = (0.0, 1.0)
    """A root mean square distance, and what is allowed there."""
    largest: tuple[float, float] = (0.0, 1.0)
    """The distance of a single number, and what is allowed there."""

    def add(self, error: Errors, rounding: Errors, scale: Errors, unit: float, small: bool) -> None:
        """Add one tensor: its distances from the truth, those of rounding, and its size."""
        self.compared += error.compared
        multiple, floor = MULTIPLE * _chance(rounding.rms, unit * scale.rms, small), FLOOR * unit
        self.rms = _nearer(self.rms, (error.rms, max(multiple * rounding.rms, floor * scale.rms)))
        self.largest = _nearer(self.largest, (error.largest, max(multiple * rounding.largest, floor * scale.largest)))


def _nearer(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Of two pairs of a distance and what is allowed, the one that uses more of it; a NaN uses more than anything."""
    return first if np.isnan(first[0]) or second[0] * first[1] <= first[0] * second[1] else second


@dataclass(frozen=True)
class QuantityCheck:
    """The verdict on one quantity of one graph, over all its replays. Distances are those from the truth."""

    graph: str
    """`segment`, `step` or `step.int8`."""
    what: str
    """One of `QUANTITIES`."""
    compared: int
    """How many numbers were compared."""
    rms: float
    """Root mean square distance, after the segment or step and in the block where it is nearest to what is allowed."""
    largest: float
    """Largest distance of a single number, where it is nearest to what is allowed."""
    allowed_rms: float
    """What is allowed there."""
    allowed_largest: float
    """What is allowed there."""

    @property
    def passed(self) -> bool:
        """Whether both distances are allowed; False if nothing was compared, or one of them is NaN."""
        return self.compared > 0 and self.rms <= self.allowed_rms and self.largest <= self.allowed_largest


@dataclass
class CheckResult:
    """What `check_export` found: a verdict on every quantity of every graph."""

    rows: list[QuantityCheck] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What this export could not be asked to compute, a sentence each."""

    @property
    def passed(self) -> bool:
        """Whether something was compared and every row passed."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    def summary(self) -> str:
        """The result in one sentence: how many numbers agree, or every quantity that is off and by how much."""
        if not self.rows:
            return "nothing was compared"
        wrong = [row for row in self.rows if not row.passed]
        if not wrong:
            agree = f"{sum(row.compared for row in self.rows):,} numbers compared, all within bounds"
            return "; ".join([agree, *self.left_out])
        return "; ".join(
            f"{row.graph}, {row.what}: off by {row.rms:.3g} (root mean square; allowed {row.allowed_rms:.3g}), at most "
            f"{row.largest:.3g} (allowed {row.allowed_largest:.3g})"
            for row in wrong
        )

    def to_json(self) -> dict[str, Any]:
        """Every figure, ready for JSON. Those that are not finite become None, as JSON has no such numbers."""
        rows = [
            {**{name: _finite(value) for name, value in dataclasses.asdict(row).items()}, "passed": row.passed}
            for row in self.rows
        ]
        return {
            "multiple": MULTIPLE,
            "chance": CHANCE,
            "int8_share": INT8_SHARE,
            "rows": rows,
            "left_out": self.left_out,
        }


Found = CheckResult
"""The former name of `CheckResult`."""


def replays(max_memory: int, slots: int | None = None) -> list[Replay]:
    """The replays of a check, of several T, B and M: from no memory, with T = 1, up to the memory's cap and beyond.

    `slots` is the capacity of a ring that cannot hold all that the model attends to: no step needs more of them.
    """
    full = max_memory
    segments = [
        Replay(1, 0, (1, 1, 5, 17), stepwise=False),
        Replay(3, 0, (7, 1, 2), stepwise=False),
        Replay(2, max(full - 4, 0), (1, 2, 4, 1), stepwise=False),
    ]
    if full <= 64:  # segments as long as the memory, and longer
        segments.append(Replay(2, full // 2, (full, full + 3, 1), stepwise=False))
    steps = [
        Replay(1, 0, (1,) * 12, stepwise=True),
        Replay(3, max((full if slots is None else slots) - 4, 0), (1,) * 9, stepwise=True),
        Replay(2, 0, (3, 1, 1, 2, 1), stepwise=True),  # prompts between the steps
    ]
    return segments + (steps if slots is None else [_within(replay, slots) for replay in steps])


def _within(replay: Replay, slots: int) -> Replay:
    """As much of a stepwise replay as a ring of `slots` slots has room for, with shorter prompts if need be."""
    segments: list[int] = []
    held = replay.rows
    for steps in replay.segments:
        room = slots - held - (steps > 1)  # after a prompt there is a step
        if room > 0:
            segments.append(min(steps, room))
            held += segments[-1]
    return dataclasses.replace(replay, segments=tuple(segments))


def check_export(folder: str | Path, provider: Provider = "cpu") -> CheckResult:
    """Replay the export in `folder` on `provider` beside the PyTorch model that it was exported from.

    Raises `ExportError` for a folder that is not an export or was changed since, `ProviderError` naming what the
    provider lacks. For an export that computes something else the result's `passed` is False.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder)
    manifest.verify(folder, SERVING, CHECKING)
    model = load_checkpoint(folder).model
    assert isinstance(model, SHARNN)  # as config.json, which is the manifest's, says
    sessions = {"": opened(folder, provider)}
    if "step.int8" in manifest.graphs and provider == "cpu":
        sessions[".int8"] = opened(folder, provider, "int8")
    dtype = torch.float32 if manifest.precision == "float32" else torch.float16
    weights = weights_of(at["name"] for at in manifest.graphs["step"]["weights"])
    models = list(truth_and_replicas(model, dtype, weights))
    most_keys = most_keys_of_a_step(model.config)
    slots = manifest.capacity if manifest.capacity < most_keys else None
    replayed = {stepwise: by_pytorch(models, stepwise, slots) for stepwise in GRAPHS}
    result = compare(sessions, dtype, replayed, small=weights is not None)
    if slots is not None:
        result.left_out.append(
            f"steps that need more than the {slots} rows of this export's ring were not replayed; the model attends to "
            f"up to {most_keys}, which an export without --capacity {slots} has room for"
        )
    return result


def opened(folder: Path, provider: Provider = "cpu", precision: StepPrecision = "exported") -> Session:
    """A session whose graphs stay open: replays go from one to the other and back, and opening one takes long.

    A graph more is little beside the models in PyTorch that a check holds. Raises what `Session.load` raises.
    """
    graphs = OnnxSessions(folder, provider, precision, threads=None, cuda_graph=False, together=True)
    graphs.segment()  # a provider that is missing is an error here
    return Session(graphs, graphs.vocabulary())


GRAPHS = {False: "segment", True: "step"}
"""The graph that a replay runs, by whether it is stepwise."""


@dataclass(frozen=True)
class Segment:
    """A segment of a replay, and what PyTorch computes on it."""

    begin: Layers | None
    """The state that the replay begins with, before its first segment; None before the others."""
    tokens: NDArray[np.int64]
    """Ids (T, B)."""
    truth: dict[str, list[Array]]
    """By quantity, in float64: logits, and every block's h, c and memory afterwards."""
    replicas: list[dict[str, list[Array]]]
    """The same for each replica of the model in the export's precision."""


def by_pytorch(models: Sequence[SHARNN], stepwise: bool, slots: int | None = None) -> Iterator[Segment]:
    """Every segment of the replays of the segment graph or, if `stepwise`, of the step graph, in order.

    `models` are those of `truth_and_replicas`, `slots` is that of `replays`.
    """
    config = models[0].config
    chosen = [replay for replay in replays(config.max_memory, slots) if replay.stepwise == stepwise]
    for number, replay in enumerate(chosen):
        draw = np.random.default_rng([SEED, number])
        begin = _layers(config, replay, draw)
        states = [_state(begin, next(runs.parameters()).dtype) for runs in models]
        for position, steps in enumerate(replay.segments):
            tokens = draw.integers(config.vocab, size=(steps, replay.batch))
            found = []
            for k, runs in enumerate(models):
                with torch.inference_mode():
                    logits, states[k] = runs(torch.from_numpy(tokens), states[k])
                carried = [(layer.h.numpy(), layer.c.numpy(), layer.memory.numpy()) for layer in states[k].layers]
                found.append(_quantities(logits.numpy(), carried))
            yield Segment(None if position else begin, tokens, found[0], found[1:])


def compare(
    sessions: Mapping[str, Session],
    dtype: torch.dtype,
    replayed: Mapping[bool, Iterable[Segment]],
    *,
    small: bool = False,
) -> CheckResult:
    """Feed an export what PyTorch was fed, and compare what it computes.

    `sessions` are by the suffix of their step graph's name, and `dtype` is the precision of the first. `replayed` holds
    what `by_pytorch` gives for stepwise replays and for the others, by whether they are stepwise. `small` says that the
    export has small weights.
    """
    result = CheckResult()
    for stepwise, graph in GRAPHS.items():
        fed = {suffix: session for suffix, session in sessions.items() if stepwise or not suffix}
        nearest = {what: Nearest() for what in QUANTITIES}
        errors, scale = {suffix: _none() for suffix in fed}, _none()
        for segment in replayed[stepwise]:
            for suffix, session in fed.items():
                if segment.begin is not None:
                    session.set_state(segment.begin)
                found = _fed(session, segment.tokens, stepwise)
                if suffix:
                    _add(errors[suffix], found, segment)
                else:
                    _add_nearest(nearest, found, segment, UNIT[dtype], small)
            _add(scale, {what: [np.zeros_like(a) for a in arrays] for what, arrays in segment.truth.items()}, segment)
        for suffix in fed:
            result.rows += _by_share(graph + suffix, errors[suffix], scale) if suffix else _rows(graph, nearest)
    return result


def _layers(config: Config, replay: Replay, draw: np.random.Generator) -> Layers:
    """The random state that a replay begins with."""
    shape = (replay.batch, config.emb)
    return [
        (
            draw.uniform(-0.9, 0.9, shape).astype(np.float32),
            draw.standard_normal(shape).astype(np.float32),
            draw.standard_normal((replay.rows if config.attends(i) else 0, *shape)).astype(np.float32),
        )
        for i in range(config.layers)
    ]


def _fed(session: Session, tokens: NDArray[np.int64], stepwise: bool) -> dict[str, list[Array]]:
    """Feed `tokens` (T, B); logits, and every block's h, c and memory afterwards."""
    if stepwise and len(tokens) == 1:
        return _quantities(session.step(tokens[0])[None], session.state())
    return _quantities(session.prefill(tokens), session.state())


def _none() -> dict[str, Errors]:
    return {what: Errors() for what in QUANTITIES}


def _add(errors: dict[str, Errors], found: dict[str, list[Array]], segment: Segment) -> None:
    for what, arrays in found.items():
        for array, true in zip(arrays, segment.truth[what], strict=True):
            errors[what].add(array, true)


def _add_nearest(
    nearest: dict[str, Nearest], found: dict[str, list[Array]], segment: Segment, unit: float, small: bool
) -> None:
    for what, arrays in found.items():
        runs = zip(*(replica[what] for replica in segment.replicas), strict=True)
        for array, true, replicas in zip(arrays, segment.truth[what], runs, strict=True):
            error, rounding, scale = Errors(), Errors(), Errors()
            error.add(array, true)
            rounding.add_runs(replicas, true)
            scale.add(np.zeros_like(true), true)
            nearest[what].add(error, rounding, scale, unit, small)


def _rows(graph: str, found: dict[str, Nearest]) -> list[QuantityCheck]:
    """The verdict on each quantity; none on the memory of a model without attention."""
    return [
        QuantityCheck(graph, what, near.compared, near.rms[0], near.largest[0], near.rms[1], near.largest[1])
        for what, near in found.items()
        if near.compared
    ]


def _by_share(graph: str, found: dict[str, Errors], scale: dict[str, Errors]) -> list[QuantityCheck]:
    """The verdict on each quantity of an int8 step, by how large its error is as a share of what it computes."""
    return [
        QuantityCheck(
            graph, what, error.compared, error.rms, error.largest, INT8_SHARE * scale[what].rms, scale[what].largest
        )
        for what, error in found.items()
        if error.compared
    ]


def _chance(seen: float, last_place: float, small: bool) -> float:
    """How many times what the runs do another may do by chance, in an export with or without `small` weights."""
    return KNOWN if small and seen > KNOWN_UNITS * last_place else CHANCE


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _quantities(logits: Array, layers: Layers) -> dict[str, list[Array]]:
    h, c, memory = zip(*layers, strict=True)
    return {"logits": [logits], "h": [*h], "c": [*c], "memory": [m for m in memory if m.size]}


def _state(layers: Layers, dtype: torch.dtype) -> State:
    return State(tuple(LayerState(*(torch.from_numpy(array).to(dtype) for array in layer)) for layer in layers))
