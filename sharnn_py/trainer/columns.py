"""A training text in columns, one for each sequence of a batch, and where in it training is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor

from sharnn_py.batches import lay_out, random_lengths
from sharnn_py.config import Program


class Columns:
    """Segments of a text without end, one after another, epoch after epoch; where it is can be kept and gone back to.

    `data` is (steps, B) of ids; `rule` the program whose random lengths segments have, or None for `bptt` steps each.
    """

    def __init__(self, stream: Tensor, batch: int, bptt: int, rule: Program | None, seed: int) -> None:
        """Raises `InputError` if `stream`, (tokens,), leaves fewer than two steps for each of `batch` sequences."""
        self.data = lay_out(stream, batch)
        self.epoch = 0
        self.position = 0
        """Steps of this epoch that were taken."""
        self._bptt = bptt
        self._rule = rule
        self._generator = torch.Generator().manual_seed(seed)
        self._lengths = self._new_lengths()

    @property
    def steps(self) -> int:
        """Steps of an epoch that have a target."""
        return self.data.shape[0] - 1

    @property
    def taken(self) -> int:
        """Steps taken since the beginning, over all epochs."""
        return self.epoch * self.steps + self.position

    def take(self) -> tuple[Tensor, Tensor, bool]:
        """The next inputs and targets, each int64 (T, B), and whether they begin an epoch, and so new sequences."""
        if self.position == self.steps:
            self.epoch, self.position = self.epoch + 1, 0
            self._lengths = self._new_lengths()
        start = self.position
        self.position = min(start + next(self._lengths), self.steps)
        rows = self.data[start : self.position + 1].long()  # (T + 1, B)
        return rows[:-1], rows[1:], start == 0

    def place(self) -> dict[str, Tensor]:
        """Where training is, for `go_to`."""
        return {"place": torch.tensor([self.epoch, self.position]), "lengths": self._generator.get_state()}

    def go_to(self, place: dict[str, Tensor]) -> None:
        """Go on from where `place` was taken: the same segments follow as there."""
        self.epoch, self.position = (int(number) for number in place["place"])
        self._generator.set_state(place["lengths"])
        self._lengths = self._new_lengths()
        if self._rule == "julia" and self.position:
            next(self._lengths)  # the first of an epoch is `bptt` and takes nothing from the generator

    def _new_lengths(self) -> Iterator[int]:
        return repeat(self._bptt) if self._rule is None else random_lengths(self._bptt, self._rule, self._generator)
