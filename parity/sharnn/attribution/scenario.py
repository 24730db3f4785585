"""What both programs are given where they are run as they are, training included: a text, sizes, a seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from sharnn_py.batches import random_lengths, segments
from sharnn_py.config import Config, Program, Semantics
from sharnn_py.model import SHARNN

VOCAB, BATCH, BPTT = 23, 3, 12
DROPOUT = 0.1
LEARNING_RATE = 2e-3
UPDATES = 8
"""Enough for every row to show: the second segment's memory is cut, the second update meets the first one's bias."""
EVALUATED = 3
"""Segments of the evaluation."""


@dataclass(frozen=True)
class Scenario:
    """Everything is drawn from `seed`, and the same under either program. Models are float64."""

    seed: int

    def config(self, semantics: Semantics) -> Config:
        """A small model, but with d unlike T, V unlike H, and less memory than two segments."""
        return Config(
            vocab=VOCAB,
            emb=8,
            hidden=32,
            layers=3,
            heads=2,
            max_memory=16,
            dropout_embedding=DROPOUT,
            dropout_hidden=DROPOUT,
            dropout_output=DROPOUT,
            semantics=semantics,
        )

    def model(self, semantics: Semantics) -> SHARNN:
        """A freshly initialised model."""
        return SHARNN(self.config(semantics), self._generator(1)).double()

    def lengths(self, program: Program) -> Iterator[int]:
        """Steps of the segments to train on, as the program draws them."""
        return random_lengths(BPTT, program, self._generator(2))

    @property
    def training_text(self) -> Tensor:
        """Ids (steps, B), more than `UPDATES` segments of them."""
        return self._text(3, 2 * BPTT * UPDATES)

    @property
    def evaluation_segments(self) -> list[tuple[Tensor, Tensor]]:
        """Inputs and targets, each (T, B)."""
        return list(segments(self._text(4, BPTT * EVALUATED + 1), BPTT))

    @contextmanager
    def dropout(self) -> Iterator[None]:
        """A block in which dropout is drawn from the seed; torch's own generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            yield

    def _text(self, stream: int, steps: int) -> Tensor:
        """A random walk through the vocabulary, which can be learnt."""
        moves = torch.randint(0, 3, (steps, BATCH), generator=self._generator(stream))
        return moves.cumsum(0) % VOCAB

    def _generator(self, stream: int) -> torch.Generator:
        return torch.Generator().manual_seed(10 * self.seed + stream)
