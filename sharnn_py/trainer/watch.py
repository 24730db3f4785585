"""Whether a run is in order: what it says, or ends with, when the loss is not what it should be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sharnn_py.errors import SharnnError

BEGIN = 50
"""Updates before the means below mean anything."""
SPIKE = 0.7
"""Nats above the slow mean at which a single update's loss is spoken of: one bit."""
DIVERGED = 1.4
"""Nats above the lowest slow mean at which a run is given up, when the fast mean is there: two bits."""
PATIENCE = 300
"""Updates after which a run should have learnt more than how frequent each token is."""
LEARNT = 0.98
"""The share of the frequencies' entropy below which a loss counts as more than that."""


class TrainingError(SharnnError):
    """A run that went wrong and was ended; its last good checkpoint is in place."""

    exit_code = 1


@dataclass
class Watch:
    """Running means of the loss, in nats a token, and what was already said."""

    fast: float = math.nan
    """Mean over about 10 updates."""
    slow: float = math.nan
    """Mean over about 100 updates."""
    lowest: float = math.inf
    """The lowest slow mean so far."""
    spoke: int = -BEGIN
    """The last update at which a spike was spoken of."""
    learnt: bool = False
    """Whether more than the tokens' frequencies was learnt, or was said not to have been."""

    def see(self, update: int, loss: float, entropy: float) -> str | None:
        """Take in the loss of update number `update`, from 1; return a sentence for the user if there is need of one.

        `entropy` is that of the tokens' frequencies, in nats. Raises `TrainingError` for a loss that is not finite, and
        when the run has diverged.
        """
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of update {update:,} is {loss}, and nothing can be learnt from there; that update was not "
                "done. Try a lower rate, or --precision float32"
            )
        if update == 1:
            self.fast = self.slow = loss
        spike = update > BEGIN and loss > self.slow + SPIKE
        before = self.slow
        self.fast += 0.1 * (loss - self.fast)
        self.slow += 0.01 * (loss - self.slow)
        if update <= BEGIN:
            return None
        if self.fast > self.lowest + DIVERGED:
            raise TrainingError(
                f"the loss has diverged: {_bits(self.fast)} bits a token around update {update:,}, after "
                f"{_bits(self.lowest)} before. Try a lower rate"
            )
        self.lowest = min(self.lowest, self.slow)
        if self.slow < LEARNT * entropy:
            self.learnt = True
        if update >= PATIENCE and not self.learnt:
            self.learnt = True  # said once
            return (
                f"after {update:,} updates nothing was learnt but how frequent each token is: {_bits(self.slow)} bits "
                f"a token, and {_bits(entropy)} by the frequencies alone. Rate, optimiser and initialisation belong "
                "together: try another rate, or MinTrustLAMB (optimiser=lamb)"
            )
        if spike and update >= self.spoke + BEGIN:
            self.spoke = update
            return f"the loss rose from {_bits(before)} to {_bits(loss)} bits a token at update {update:,}"
        return None


def entropy_of(ids: Tensor) -> float:
    """The entropy, in nats, of how frequent each of `ids` is."""
    counts = torch.bincount(ids.int(), minlength=1).double()
    shares = counts[counts > 0] / len(ids)
    return float(-(shares * shares.log()).sum())


def _bits(nats: float) -> str:
    return f"{nats / math.log(2):.2f}"
