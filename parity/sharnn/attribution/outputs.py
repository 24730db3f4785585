"""Running models on segments, what comes out, and how far two such outputs are apart."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from parity.sharnn.attribution.results import OutputChange
from sharnn_py.model import SHARNN, nll
from sharnn_py.state import State
from sharnn_py.trace import Note


@dataclass
class Outputs:
    """The logits and losses of every segment, in order."""

    logits: list[Tensor] = field(default_factory=list)
    """Each (T, B, V)."""
    losses: list[Tensor] = field(default_factory=list)
    """Scalars, nats a token."""

    def add(self, logits: Tensor, loss: Tensor) -> None:
        """Append one segment: logits (T, B, V) and the mean loss, a scalar."""
        self.logits.append(logits)
        self.losses.append(loss)

    @property
    def loss(self) -> float:
        """Nats a token over all segments, each weighted by its steps, as `sharnn_py.evaluate` has it."""
        steps = [t.shape[0] for t in self.logits]
        return sum(n * float(loss) for n, loss in zip(steps, self.losses, strict=True)) / sum(steps)

    @property
    def rms(self) -> float:
        """The root mean square of all logits."""
        return rms(self.logits)


@dataclass
class Evaluation:
    """A model that is run segment by segment, its state carried along and its outputs kept."""

    model: SHARNN
    outputs: Outputs = field(default_factory=Outputs)
    state: State | None = None

    @torch.no_grad()
    def segment(self, tokens: Tensor, targets: Tensor, note: Note | None = None) -> None:
        """Run the next segment: token ids and targets, each (T, B)."""
        logits, self.state = self.model(tokens, self.state, note)
        self.outputs.add(logits, nll(logits, targets))

    def run(self, segments: Iterable[tuple[Tensor, Tensor]]) -> Outputs:
        """Run all of the segments, one after the other."""
        for tokens, targets in segments:
            self.segment(tokens, targets)
        return self.outputs


def output_change(run: Outputs, other: Outputs) -> OutputChange:
    """The change from `other` to `run`, both of the same segments."""
    differences = [a - b for a, b in zip(run.logits, other.logits, strict=True)]
    # Not Python's max, which passes over a NaN.
    largest = torch.stack([d.abs().max() for d in differences]).max()
    return OutputChange(float(largest), rms(differences), run.loss - other.loss)


def rms(tensors: list[Tensor]) -> float:
    """The root mean square of all elements."""
    return math.sqrt(sum(float(t.square().sum()) for t in tensors) / sum(t.numel() for t in tensors))
