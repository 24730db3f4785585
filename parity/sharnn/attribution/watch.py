"""Where one run first leaves another: the first tensor that changes, and by how much."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from parity.sharnn.attribution.outputs import rms
from parity.sharnn.attribution.results import Change
from sharnn_py.config import Config
from sharnn_py.trace import Note

Listener = Callable[[str, Tensor], None]
"""Told every tensor of a run by name, in order of computation."""


@dataclass(frozen=True)
class First:
    """The first tensor that changes."""

    name: str
    before: Tensor | None
    """None if only the later run has such a tensor."""
    after: Tensor


class Watch:
    """A listener to the later run that finds the first tensor to differ from the earlier run's, `base`.

    `base` may be filled as both runs go on; it only has to hold a tensor by the time the later run comes to it.
    """

    def __init__(self, base: dict[str, Tensor]) -> None:
        self.base = base
        self.first: First | None = None

    def __call__(self, name: str, tensor: Tensor) -> None:
        if self.first is not None:
            return
        before = self.base.get(name)
        if before is None or before.shape != tensor.shape or not torch.equal(before, tensor):
            self.first = First(name, before, tensor.detach().clone())


def nothing(name: str, tensor: Tensor) -> None:
    """Listen to nothing."""


def keep_in(base: dict[str, Tensor]) -> Listener:
    """Keep every tensor as it is now, by its name."""

    def keep(name: str, tensor: Tensor) -> None:
        base[name] = tensor.detach().clone()

    return keep


def under(prefix: str, listener: Listener) -> Note:
    """A note for a model's forward pass: the listener, with `prefix` before every name."""
    return lambda name, tensor: listener(prefix + name, tensor)


def measure(quantity: str, first: First | None, alone: Change, julia_rms: float, config: Config) -> float:
    """One of the ledger's `QUANTITIES`, of a row switched on alone. A row that changes nothing measures 0."""
    if quantity == "logits":
        return _over(alone.rms, julia_rms)
    if quantity == "loss":
        return abs(alone.loss)
    if first is None:
        return 0.0
    if quantity == "rows":
        held = 0 if first.before is None else len(first.before)
        return abs(len(first.after) - held) / config.max_memory
    relative = _relative(first)
    if quantity == "first * 2 emb":
        return relative * 2 * config.emb
    if quantity == "first / |sqrt(T / d) - 1|":
        queries = first.after.shape[-2] if first.after.ndim > 1 else 0
        return _over(relative, abs(math.sqrt(queries * config.heads / config.emb) - 1))
    return relative


def _relative(first: First) -> float:
    if first.before is None or first.before.shape != first.after.shape:
        return math.inf
    return _over(rms([first.after - first.before]), rms([first.before]))


def _over(size: float, scale: float) -> float:
    return size / scale if scale else math.inf if size else 0.0
