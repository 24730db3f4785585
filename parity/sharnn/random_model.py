"""Random models and ids, for cases that were not recorded before."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sharnn_py.config import Config
from sharnn_py.model import SHARNN

SPREAD = 0.3
"""Deviation of what is added to a fresh model's parameters, so that none is at its special initial value."""


def segment_lengths(max_memory: int) -> tuple[int, ...]:
    """Steps to draw a segment's from: one, fewer and more than the memory has rows, and just at its limit."""
    return 1, 2, 5, 9, max(1, max_memory - 1), max_memory, max_memory + 1, max_memory + 4


def random_model(config: Config, generator: torch.Generator) -> SHARNN:
    """A float32 model with every parameter away from its initial value."""
    model = SHARNN(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=SPREAD)
    return model


def random_segments(
    config: Config, lengths: Sequence[int], batch: int, generator: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    """Ids and targets (T, B) of every segment, int64 from 0."""
    drawn = [torch.randint(0, config.vocab, (steps + 1, batch), generator=generator) for steps in lengths]
    return [(ids[:-1], ids[1:]) for ids in drawn]
