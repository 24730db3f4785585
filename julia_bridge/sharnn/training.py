"""Training in Julia: the reference statement's own initial parameters, gradients, MinTrustLAMB and carried state.

Parameters are under SHA-RNN.jl's names, with Julia's axes reversed (`julia_bridge.sharnn.model.parameter_shapes`),
float32 or float64, and everything is computed in their type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from julia_bridge.sharnn.model import (
    SIZES,
    Array,
    arrays_of,
    check_config,
    check_ids,
    check_parameters,
)
from sharnn_py.config import Config
from sharnn_py.errors import ConfigError, InputError

if TYPE_CHECKING:
    from julia_bridge.worker import Worker

SCHEDULES = ("warmup_constant", "warmup_cosine", "warmup_linear")


@dataclass(frozen=True)
class JuliaRule:
    """SHA-RNN.jl's MinTrustLAMB and its schedule. Raises `ConfigError` for an unknown schedule or `total` below 1."""

    lr: float
    """The highest learning rate."""
    total: int | None = None
    """Updates that the schedule runs over; None for no schedule, every update at `lr`."""
    warmup: float = 0.1
    """The share of `total` in which the rate rises to `lr`."""
    schedule: str = "warmup_constant"
    """What follows: one of `SCHEDULES`."""

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"schedule is {self.schedule!r}; it must be one of {', '.join(SCHEDULES)}")
        if self.total is not None and self.total < 1:
            raise ConfigError(f"total is {self.total}; it must be at least 1, or None for no schedule")

    def for_julia(self) -> dict[str, Any]:
        """As `julia_bridge/julia/lamb.jl` takes it."""
        return {"program": "julia", **vars(self)}


@dataclass(frozen=True)
class PaperRule:
    """The MinTrustLAMB of Smerity's program, its clip and its warm-up."""

    lr: float
    """The highest learning rate."""
    warmup: int = 0
    """Updates in which the rate rises to `lr`, by `lr` / `warmup` each; 0 for none."""
    decay: float = 1.2e-6
    """Weight decay, of every parameter."""
    clip: float = 0.25
    """Norm to which a larger gradient of all parameters together is scaled down."""

    def for_julia(self) -> dict[str, Any]:
        """As `julia_bridge/julia/lamb.jl` takes it."""
        return {"program": "paper", **vars(self)}


Rule = JuliaRule | PaperRule


@dataclass(frozen=True)
class Moments:
    """The running means of gradients and of their squares, by the parameters' names."""

    first: dict[str, Array]
    second: dict[str, Array]


class Segment(NamedTuple):
    """A piece of the batch's sequences: what `JuliaTraining.update` computes gradients on."""

    tokens: Array
    """Ids (T, B), int64 from 0."""
    targets: Array
    """Of the same shape, -1 where there is none."""
    begins: bool
    """Whether new sequences begin with it, whose state is zero."""


@dataclass(frozen=True)
class JuliaUpdate:
    """What one update in Julia did."""

    losses: list[float]
    """Mean negative log likelihood of each segment, nats a token, before the update."""
    parameters: dict[str, Array]
    """All parameters after it."""


def initial_parameters(config: Config, seed: int, worker: Worker) -> dict[str, Array]:
    """Parameters drawn in Julia as SHA-RNN.jl draws them for a new model (row 7 of docs/semantics.md), float32.

    The same `seed`, at least 0, draws the same in the same version of Julia. Raises `ConfigError` for a config that
    SHA-RNN.jl has no model for, and what `Worker.call` raises.
    """
    check_config(config)
    _load(worker)
    drawn: dict[str, Array] = worker.call("Bridge.initial", _sizes(config), seed)
    check_parameters(drawn, config, "reference")
    return drawn


def lamb_update(
    rule: Rule,
    number: int,
    parameters: Mapping[str, Array],
    gradients: Mapping[str, Array],
    moments: Moments | None,
    worker: Worker,
) -> tuple[dict[str, Array], Moments]:
    """Update `number`, from 1, of MinTrustLAMB in Julia: the parameters and moments after it.

    `moments` are those after the update before, None before the first. A parameter without a gradient stays as it is.
    The names may be either program's. Raises `JuliaError` for arrays that do not fit each other, and what
    `Worker.call` raises.
    """
    _load(worker)
    before = {} if moments is None else {"first": moments.first, "second": moments.second}
    after = worker.call("Bridge.lamb", rule.for_julia(), number, dict(parameters), dict(gradients), before)
    return after["parameters"], Moments(after["first"], after["second"])


class JuliaTraining:
    """A SHA-RNN that trains in Julia, update by update, without dropout.

        with JuliaTraining(config, initial_parameters(config, 0, worker), JuliaRule(lr=2e-3), worker) as training:
            done = training.update([Segment(tokens, targets, begins=True)])

    Each update is computed wholly in Julia (`julia_bridge/julia/training.jl`): the forward pass, its gradients, the
    optimiser, and the state that is carried from segment to segment. Raises `ConfigError` for a config that SHA-RNN.jl
    has no model for, `WeightsError` for parameters that do not fit it, and what `Worker.call` raises.
    """

    def __init__(self, config: Config, parameters: Mapping[str, Array], rule: Rule, worker: Worker) -> None:
        check_config(config)
        check_parameters(parameters, config, "reference")
        self._config, self._worker = config, worker
        _load(worker)
        arguments = _sizes(config), dict(parameters), rule.for_julia()
        self._ticket: int | None = worker.call("Bridge.begin_training", *arguments)

    def __enter__(self) -> JuliaTraining:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Have Julia forget the run, if it still runs."""
        if self._ticket is not None and self._worker.pid is not None:
            self._worker.call("Bridge.end_training", self._ticket)
        self._ticket = None

    def update(self, segments: Sequence[Segment]) -> JuliaUpdate:
        """Make one update by the sum of the segments' gradients, and return what it did.

        Raises `InputError` for no segments or ids that do not fit, `JuliaError` if Julia stops or has lost the run,
        and what `Worker.call` raises.
        """
        if not segments:
            raise InputError("an update was asked for without segments; give at least one")
        for tokens, targets, _ in segments:
            check_ids("tokens", tokens, tokens.shape, 0, self._config.vocab)
            check_ids("targets", targets, tokens.shape, -1, self._config.vocab)
        asked = [{"ids": s.tokens + 1, "labels": s.targets + 1, "new": s.begins} for s in segments]
        answer = self._worker.call("Bridge.training_update", self._ticket, asked)
        return JuliaUpdate(answer["losses"].tolist(), dict(arrays_of(answer["portion"], self._worker)))


def _sizes(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SIZES}


def _load(worker: Worker) -> None:
    worker.include(Path(__file__).parents[1] / "julia" / "load.jl")
