"""Dynamic evaluation: a trained model goes on learning from what it reads (Krause, Kahembwe, Murray and Renals,
arXiv 1709.07432).

After each segment, once it has been scored, every parameter w makes a step against the gradient g of the segment's loss
and a little back to where training left it, w0:

    w <- w - rate g / (sqrt(m) + mean(sqrt(m))) + decay (w0 - w)

m is the mean of g^2 over the last segments of the training text and all that were read since, where the paper leaves it
as it was in training: so no gradient, however large, makes a step out of proportion. The mean of its roots, over all
parameters, keeps steps small where there was hardly a gradient.
"""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from sharnn_py.compare.contender import Settings
from sharnn_py.compare.neural import NeuralReader, bits, pairs
from sharnn_py.model import nll
from sharnn_py.trainer.saved import Carried

SEGMENT = 64
"""Bytes between two steps."""


class DynamicReader:
    """A model that learns from each segment that it has read. The model given is left as it is."""

    def __init__(self, trained: NeuralReader, rate: float, decay: float) -> None:
        self.parameters = trained.parameters
        self.bytes_seen = trained.bytes_seen
        self._rate, self._decay = rate, decay
        self._model = copy.deepcopy(trained.model)
        self._weights = list(self._model.parameters())
        self._trained = [weight.detach().clone() for weight in self._weights]
        self._state: Carried = None
        self._last = trained.before[:1]
        self._squares = [torch.zeros_like(weight) for weight in self._trained]
        self._segments = 0
        for inputs, targets in pairs(trained.before, SEGMENT, self._model):
            self._read(inputs, targets)
        self._last = trained.before[-1:]

    def read(self, text: bytes) -> NDArray[np.float64]:
        """The bits that each byte of `text` costs, told before the model has learnt from its segment, (len(text),)."""
        costs = []
        for inputs, targets in pairs(self._last + text, SEGMENT, self._model):
            costs.append(self._read(inputs, targets))
            self._step()
            self.bytes_seen += len(inputs)
        self._last = text[-1:] or self._last
        return np.concatenate(costs) if costs else np.zeros(0)

    def _read(self, inputs: torch.Tensor, targets: torch.Tensor) -> NDArray[np.float64]:
        """Score a segment, bits (T,), and leave the gradients of its loss."""
        self._model.zero_grad()
        logits, self._state = self._model(inputs, self._state)
        nll(logits, targets).backward()  # type: ignore[no-untyped-call]
        self._segments += 1
        for square, weight in zip(self._squares, self._weights, strict=True):
            if weight.grad is not None:
                square.addcmul_(weight.grad, weight.grad)
        costs: NDArray[np.float64] = bits(logits.detach(), targets).cpu().numpy()
        return costs

    @torch.no_grad()
    def _step(self) -> None:
        roots = [(square / self._segments).sqrt() for square in self._squares]
        mean = torch.stack([root.sum() for root in roots]).sum() / sum(root.numel() for root in roots)
        for weight, trained, root in zip(self._weights, self._trained, roots, strict=True):
            if weight.grad is not None:
                weight.sub_(self._rate * weight.grad / (root + mean)).add_(trained - weight, alpha=self._decay)


class DynamicContender:
    """A model that is trained already, and is now read with dynamic evaluation."""

    settings: tuple[Settings, ...] = tuple(
        {"dynamic rate": rate, "decay": decay} for rate, decay in product((3e-5, 1e-4, 3e-4), (1e-3, 1e-2))
    )

    def __init__(self, name: str, trained: NeuralReader) -> None:
        self.name = name
        self._trained = trained

    def fit(self, text: bytes, minutes: float, settings: Settings) -> DynamicReader:
        """The model as it was trained, about to read on. Neither the text nor the minutes are used any more."""
        return DynamicReader(self._trained, float(settings["dynamic rate"]), float(settings["decay"]))
