"""What may happen to a weight or a bias of any layer: left out, reshaped, with its blocks of rows in another order."""

from collections.abc import Iterator
from itertools import permutations

import torch
from torch import Tensor

from parity.diagnosis.formula import Change, on, without

BLOCKS = (2, 3, 4)
"""Numbers of equal blocks that rows or columns may be taken in."""


def bias_changes(role: str, words: str) -> Iterator[Change]:
    """What may happen to a bias, which is called `words`."""
    yield Change(f"leaves {words} out", "adds it", operands=without(role))
    yield Change(f"adds {words} twice", "once", operands=on(lambda bias: 2 * bias, role))
    yield Change(f"subtracts {words}", "adds it", operands=on(torch.neg, role))


def reshaped(weight: Tensor) -> Tensor:
    """A weight read transposed as if it were not."""
    return weight.mT.reshape(weight.shape)


def reshaped_back(weight: Tensor) -> Tensor:
    """A weight read as if it were its transposed: what undoes `reshaped`."""
    return weight.reshape(weight.shape[::-1]).mT


def reshaped_last(x: Tensor) -> Tensor:
    """The last two axes read transposed as if they were not."""
    return x.mT.reshape(x.shape)


def gates_transposed(weight: Tensor) -> Tensor:
    """Every square block of rows transposed, (nH, H) -> (nH, H)."""
    width = weight.shape[1]
    return weight.reshape(-1, width, width).mT.reshape(weight.shape)


def block_orders() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every order of 2, 3 or 4 blocks but their own, with a description; of equal ones, that of fewest blocks."""
    for count in BLOCKS:
        for order in permutations(range(count)):
            if order not in (tuple(range(count)), (2, 3, 0, 1)):
                yield f"in {count} blocks in the order {', '.join(str(k + 1) for k in order)}", order


def block_order(size: int, order: tuple[int, ...]) -> Tensor | None:
    """Indices that put `size` rows' equal blocks in another order; None if there are none."""
    if size % len(order):
        return None
    return torch.arange(size).reshape(len(order), -1)[list(order)].flatten()


def interleaved(size: int, count: int) -> Tensor:
    """Indices that take one row of each of `count` equal blocks in turn; rows that do not fill a block are dropped."""
    return torch.arange(size - size % count).reshape(count, -1).mT.flatten()
