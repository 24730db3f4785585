"""Loss over a data set and the training loop, as SHA-RNN.jl's `src/train.jl` has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from sharnn_py.errors import ConfigError, InputError
from sharnn_py.model import SHARNN, nll
from sharnn_py.state import State

Segments = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Progress:
    """What `train` reports."""

    updates: int
    """Optimiser updates done so far."""
    loss: float
    """Mean loss a token, nats, over the segments since the last report, each weighted by its steps."""


@torch.no_grad()
def evaluate(model: SHARNN, segments: Segments, state: State | None = None) -> tuple[float, State]:
    """Mean loss, nats a token, over all segments, sum(T * nll) / sum(T), and the state after the last.

    Both programs differ in the state they begin with (row 9): Smerity resets it, `state=None`; SHA-RNN.jl goes
    on from training and never goes back, `state=` what training returned. Dropout is off meanwhile.
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
    if state is None:
        raise InputError("there were no segments to evaluate")
    return total / steps, state


def train(
    model: SHARNN, segments: Segments, optimizer: Optimizer, *, accumulate: int = 1, report_every: int = 100
) -> Iterator[Progress]:
    """One pass over `segments` with carried state, reporting every `report_every` updates and at the end.

    The gradients of `accumulate` segments are summed, not averaged, for each update. What is left over at the end
    makes a last update, where SHA-RNN.jl drops it. Any `report_every` of at least 1 will do; SHA-RNN.jl divides by
    `report_iter` div 50 and stops at fewer than 50.
    """
    if accumulate < 1 or report_every < 1:
        raise ConfigError(f"accumulate is {accumulate} and report_every {report_every}; both must be at least 1")
    model.train()
    state: State | None = None
    updates, pending, total, steps = 0, 0, 0.0, 0
    optimizer.zero_grad()
    for tokens, targets in segments:
        logits, state = model(tokens, state)
        loss = nll(logits, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        total, steps, pending = total + float(loss.detach()) * tokens.shape[0], steps + tokens.shape[0], pending + 1
        if pending < accumulate:
            continue
        optimizer.step()
        optimizer.zero_grad()
        updates, pending = updates + 1, 0
        if updates % report_every == 0:
            yield Progress(updates, total / steps)
            total, steps = 0.0, 0
    if pending:
        optimizer.step()
        optimizer.zero_grad()
        updates += 1
    if steps:
        yield Progress(updates, total / steps)
