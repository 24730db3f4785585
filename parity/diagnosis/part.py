"""The part of a tensor that is wrong, where that is some rows along one axis: a step, a sequence, a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from parity.diagnosis.matching import TIGHT, scale

ENOUGH = 4
"""The fewest elements of a part that can be explained."""
MOST_NAMED = 4
"""The most rows that are named one by one."""


@dataclass(frozen=True)
class Part:
    """The rows along one axis that are wrong."""

    axis: int
    rows: Tensor
    words: str

    @classmethod
    def all_of(cls, usual: Tensor, given: Tensor, names: Sequence[str]) -> list[Part]:
        """For every axis the rows outside which `given` is `usual`, the smallest part first; never all of the rows."""
        if usual.shape != given.shape:
            return []
        usual, given = usual.to(torch.float64), given.to(torch.float64)
        wrong = ~((usual == given) | ((usual - given).abs() <= TIGHT * scale(given)))
        parts = []
        for axis, size in enumerate(given.shape):
            others = [other for other in range(given.ndim) if other != axis]
            rows = (wrong.any(others) if others else wrong).nonzero()[:, 0]
            if 0 < len(rows) < size and len(rows) * given.numel() >= ENOUGH * size:
                parts.append((len(rows) / size, axis, rows))
        parts.sort(key=lambda part: part[0])
        return [cls(axis, rows, _words(rows.tolist(), names[axis])) for _, axis, rows in parts]

    def of_tensor(self, tensor: Tensor) -> Tensor:
        """The part's rows of a tensor."""
        return tensor.index_select(self.axis, self.rows)


def _words(rows: list[int], axis: str) -> str:
    if len(rows) <= MOST_NAMED:
        return f"but only at {', '.join(map(str, rows))} of {axis}"
    return f"but only at {len(rows)} rows of {axis}, the first of them {rows[0]}"
