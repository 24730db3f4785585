"""Loss over a data set and the training loop, as SHA-RNN.jl's `src/train.jl` has them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from sharnn_py.errors import ConfigError, InputError
from sharnn_py.model import SHARNN, nll
from sharnn_py.state import State

Segments = Iterable[tuple[Tensor, Tensor]]
"""Inputs and targets, each int64 (T, B), of successive segments of the same B sequences: `sharnn_py.segments`."""


@dataclass(frozen=True)
class Progress:
    """A report of `train`: the loss since the previous report."""

    updates: int
    """Optimiser updates done so far."""
    loss: float
    """Mean loss a token, nats, over the segments since the last report, each weighted by its steps."""


@dataclass(frozen=True)
class Trained:
    """What `train` returns: the losses that it reported, and the last state."""

    reports: tuple[Progress, ...]
    """Every report, in order; together they cover all segments."""
    state: State
    """The state after the last segment, B sequences, detached."""


@torch.no_grad()
def evaluate(model: SHARNN, segments: Segments, state: State | None = None) -> tuple[float, State]:
    """Mean loss, nats a token, over all segments, sum(T * nll) / sum(T), and the state after the last.

    Evaluation begins with `state`, or with zeros without one. The two programs differ here (row 9 of
    docs/semantics.md): Smerity begins with zeros; SHA-RNN.jl continues from the state that training ended with
    (`Trained.state`). Dropout is off, and the model's mode is restored afterwards. Raises `InputError` if there are no
    segments.
    """
    was_training = model.training
    model.eval()
    try:
        total, steps = 0.0, 0
        for tokens, targets in segments:
            logits, state = model(tokens, state)
            total += float(nll(logits, targets)) * tokens.shape[0]
            steps += tokens.shape[0]
    finally:
        model.train(was_training)
    if not steps or state is None:
        raise InputError("there were no segments to evaluate")
    return total / steps, state


def train(
    model: SHARNN,
    segments: Segments,
    optimizer: Optimizer,
    *,
    accumulate: int = 1,
    report_every: int = 100,
    on_report: Callable[[Progress], object] | None = None,
) -> Trained:
    """Train `model`, in place, in one pass over `segments` with carried state; return the losses and the last state.

    A report is made every `report_every` updates and at the end; `on_report` is called with each as it is made.
    The gradients of `accumulate` segments are summed, not averaged, for each update. Segments left over at the end
    make a last update, where SHA-RNN.jl drops them. `report_every` may be any whole number from 1; SHA-RNN.jl divides
    by `report_iter` div 50 and stops at fewer than 50.

    The model is left in training mode. Raises `ConfigError` for `accumulate` or `report_every` below 1, `InputError`
    if there are no segments.
    """
    if accumulate < 1 or report_every < 1:
        raise ConfigError(f"accumulate is {accumulate} and report_every {report_every}; both must be at least 1")
    model.train()
    state: State | None = None
    reports: list[Progress] = []
    updates, pending, total, steps = 0, 0, 0.0, 0

    def update() -> None:
        nonlocal updates, pending
        optimizer.step()
        optimizer.zero_grad()
        updates, pending = updates + 1, 0

    def report() -> None:
        nonlocal total, steps
        reports.append(Progress(updates, total / steps))
        total, steps = 0.0, 0
        if on_report is not None:
            on_report(reports[-1])

    optimizer.zero_grad()
    for tokens, targets in segments:
        logits, state = model(tokens, state)
        loss = nll(logits, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        total, steps, pending = total + float(loss.detach()) * tokens.shape[0], steps + tokens.shape[0], pending + 1
        if pending == accumulate:
            update()
            if updates % report_every == 0:
                report()
    if state is None:
        raise InputError("there were no segments to train on")
    if pending:
        update()
    if steps:
        report()
    return Trained(tuple(reports), state)
