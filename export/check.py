"""Whether an export computes what its model computes: carried segments and steps are replayed beside PyTorch.

The truth is the PyTorch model in float64. An export passes if it is no further from the truth than `MULTIPLE` times
PyTorch itself in the export's own precision, over the same replays. That is required of logits, h, c and memory, both
of the root mean square distance and, so that no single wrong number hides in a mean, of the largest distance, where
`parity.tolerance.FLOOR` units in the last place are always allowed. PyTorch's own distance is the largest of several
runs, one plain and the others with every parameter nudged by at most its last bit, as the distance of a single run of
a small model is a matter of chance (docs/tolerance.md; docs/onnx.md tells how far exports were found to be).

The int8 step has no PyTorch twin. It passes if its distance is below `INT8_SHARE` of what it computes, both as root
mean squares: random models were seen at 0.008 in the median and at 0.04 at most, and a wrong graph is at 1.
"""

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.errors import ExportError
from export.manifest import CHECKING, SERVING, Manifest
from export.serving.providers import Provider
from export.serving.segment_state import Layers
from export.serving.session import Session
from parity.tolerance import FLOOR, ROUNDING_RUNS, UNIT, nudge
from sharnn_py.checkpoint import load_checkpoint
from sharnn_py.model import SHARNN
from sharnn_py.state import LayerState, State

MULTIPLE = 1.5
"""How many times PyTorch's own distance from the truth an export is allowed."""
INT8_SHARE = 0.1
"""Which share of what an int8 step computes it may be off by."""
SEED = 0
"""Of the tokens and states that are replayed."""
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
        distance = np.abs(given.astype(np.float64) - truth)
        self.squares += float(np.square(distance).sum())
        self.largest = float(np.maximum(self.largest, distance.max(initial=0.0)))  # keeps a NaN, as max would not
        self.compared += distance.size

    @property
    def rms(self) -> float:
        return float(np.sqrt(self.squares / max(self.compared, 1)))


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
    """Root mean square distance."""
    largest: float
    """Largest distance of a single number."""
    allowed_rms: float
    allowed_largest: float

    @property
    def passed(self) -> bool:
        """Whether both distances are allowed; not so if nothing was compared, or one of them is NaN."""
        return self.compared > 0 and self.rms <= self.allowed_rms and self.largest <= self.allowed_largest


@dataclass
class CheckResult:
    """What `check_export` found: a verdict on every quantity of every graph."""

    rows: list[QuantityCheck] = field(default_factory=list)

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
            return f"{sum(row.compared for row in self.rows):,} numbers compared, all within bounds"
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
        return {"multiple": MULTIPLE, "int8_share": INT8_SHARE, "rows": rows}


Found = CheckResult
"""The former name of `CheckResult`."""


def replays(max_memory: int) -> list[Replay]:
    """The replays of a check, of several T, B and M: from no memory, with T = 1, up to the memory's cap and beyond."""
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
        Replay(3, max(full - 4, 0), (1,) * 9, stepwise=True),
        Replay(2, 0, (3, 1, 1, 2, 1), stepwise=True),  # prompts between the steps
    ]
    return segments + steps


def check_export(folder: str | Path, provider: Provider = "cpu") -> CheckResult:
    """Replay the export in `folder` on `provider` beside the PyTorch model that it was exported from.

    Raises `ExportError` for a folder that is not an export or was changed since, `ProviderError` naming what the
    provider lacks. An export that computes something else is a result that has not `passed`.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder)
    manifest.verify(folder, SERVING, CHECKING)
    model = load_checkpoint(folder).model
    if not isinstance(model, SHARNN) or model.config.to_json() != manifest.config:
        raise ExportError(f"{folder}: config.json and the manifest describe different models; export the model again")
    sessions = {"": Session.load(folder, provider)}
    if "step.int8" in manifest.graphs and provider == "cpu":
        sessions[".int8"] = Session.load(folder, provider, "int8")
    dtype = torch.float32 if manifest.precision == "float32" else torch.float16
    twins = _twins(model, dtype)
    truth = model.double()
    result = CheckResult()
    for stepwise, graph in ((False, "segment"), (True, "step")):
        chosen = [replay for replay in replays(model.config.max_memory) if replay.stepwise == stepwise]
        feeds = {suffix: _Feed(session) for suffix, session in sessions.items() if stepwise or not suffix}
        reference, twin_feeds = _Feed(truth), [_Feed(twin) for twin in twins]
        for number, replay in enumerate(chosen):
            _replay(replay, reference, [*feeds.values(), *twin_feeds], np.random.default_rng([SEED, number]))
        for suffix, feed in feeds.items():
            result.rows += _rows(graph + suffix, feed, twin_feeds, reference, None if suffix else UNIT[dtype])
    return result


def _twins(model: SHARNN, dtype: torch.dtype) -> list[SHARNN]:
    """The model in the export's precision, once as it is, then with nudged parameters."""
    twins = []
    for run in range(ROUNDING_RUNS):
        twin = copy.deepcopy(model).to(dtype)
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                parameter.copy_(nudge(parameter, run, name))
        twins.append(twin)
    return twins


class _Feed:
    """A model or a session that is fed the same as the truth, and its distance from it; the truth's own is from 0."""

    def __init__(self, runs: SHARNN | Session) -> None:
        self.runs = runs
        self.errors = {what: Errors() for what in QUANTITIES}

    def begin(self, layers: Layers) -> None:
        if isinstance(self.runs, Session):
            self.runs.set_state(layers)
        else:
            dtype = self.runs.encoder.weight.dtype
            tensors = (LayerState(*(torch.from_numpy(array).to(dtype) for array in layer)) for layer in layers)
            self.state = State(tuple(tensors))

    def feed(self, tokens: NDArray[np.int64], stepwise: bool) -> dict[str, list[Array]]:
        """Feed `tokens` (T, B); logits, and every block's h, c and memory afterwards."""
        layers: Layers
        if not isinstance(self.runs, Session):
            with torch.inference_mode():
                logits, self.state = self.runs(torch.from_numpy(tokens), self.state)
            logits = logits.numpy()
            layers = [(layer.h.numpy(), layer.c.numpy(), layer.memory.numpy()) for layer in self.state.layers]
        elif stepwise and len(tokens) == 1:
            logits, layers = self.runs.step(tokens[0])[None], self.runs.state()
        else:
            logits, layers = self.runs.prefill(tokens), self.runs.state()
        h, c, memory = zip(*layers, strict=True)
        return {"logits": [logits], "h": [*h], "c": [*c], "memory": [m for m in memory if m.size]}

    def compare(self, found: dict[str, list[Array]], expected: dict[str, list[Array]]) -> None:
        for what, arrays in found.items():
            for array, true in zip(arrays, expected[what], strict=True):
                self.errors[what].add(array, true)


def _replay(replay: Replay, truth: _Feed, feeds: Sequence[_Feed], draw: np.random.Generator) -> None:
    config, shape = truth.runs.config, (replay.batch, truth.runs.config.emb)
    layers = [
        (
            draw.uniform(-0.9, 0.9, shape).astype(np.float32),
            draw.standard_normal(shape).astype(np.float32),
            draw.standard_normal((replay.rows if config.attends(i) else 0, *shape)).astype(np.float32),
        )
        for i in range(config.layers)
    ]
    for runs in (truth, *feeds):
        runs.begin(layers)
    for steps in replay.segments:
        tokens = draw.integers(config.vocab, size=(steps, replay.batch))
        expected = truth.feed(tokens, replay.stepwise)
        zero = {what: [np.zeros_like(array) for array in arrays] for what, arrays in expected.items()}
        truth.compare(zero, expected)
        for runs in feeds:
            runs.compare(runs.feed(tokens, replay.stepwise), expected)


def _rows(graph: str, feed: _Feed, twins: Sequence[_Feed], truth: _Feed, unit: float | None) -> list[QuantityCheck]:
    """The verdict on each quantity, by the distance of `twins` or, without a `unit`, by a share of the truth."""
    rows = []
    for what in QUANTITIES:
        error = feed.errors[what]
        if not error.compared:
            continue  # the memory of a model without attention
        if unit is not None:
            rms = MULTIPLE * max(twin.errors[what].rms for twin in twins)
            largest = MULTIPLE * max(twin.errors[what].largest for twin in twins)
            largest = max(largest, FLOOR * unit * truth.errors[what].largest)
        else:
            rms, largest = INT8_SHARE * truth.errors[what].rms, truth.errors[what].largest
        rows.append(QuantityCheck(graph, what, error.compared, error.rms, error.largest, rms, largest))
    return rows


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
