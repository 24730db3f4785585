"""A linear map: x W' + b.

Roles: x (..., in), weight (out, in), bias (out,) or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, rowwise


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(..., in), (out, in), (out,) -> (..., out)"""
    y = x @ weight.mT
    return y if bias is None else y + bias


def compute(o: Operands) -> Tensor:
    """(..., out)"""
    return linear(o["x"], o["weight"], o.get("bias"))


def _variants(o: Operands) -> Iterator[Variant]:
    x, weight, bias = o["x"], o["weight"], o.get("bias")
    out, width = weight.shape
    yield Variant("transposes the weight", "does not", lambda: linear(x, weight.mT, bias))
    reshaped = "reads the transposed weight as if it were not (reshaped, not transposed)"
    yield Variant(reshaped, "takes it as it is", lambda: linear(x, weight.mT.reshape(out, width), bias))
    if bias is not None:
        yield Variant("leaves the bias out", "adds it", lambda: linear(x, weight, None))
        yield Variant("adds the bias twice", "once", lambda: linear(x, weight, 2 * bias))
        yield Variant("subtracts the bias", "adds it", lambda: linear(x, weight, -bias))
        yield Variant("takes the bias in reverse", "in order", lambda: linear(x, weight, bias.flip(0)))
        yield Variant("adds the bias before the weight", "after it", lambda: linear(x + bias, weight, None))
    root, as_it_is = math.sqrt(width), "leaves it as it is"
    yield Variant(f"scales the weight by 1 / sqrt({width})", as_it_is, lambda: linear(x, weight / root, bias))
    yield Variant(f"scales the weight by sqrt({width})", as_it_is, lambda: linear(x, weight * root, bias))
    yield Variant("takes the weight's negative", "the weight as it is", lambda: linear(x, -weight, bias))
    yield Variant("takes the rows of the weight in reverse", "in order", lambda: linear(x, weight.flip(0), bias))
    yield Variant("takes the columns of the weight in reverse", "in order", lambda: linear(x, weight.flip(1), bias))
    yield from _blocks(x, weight, bias)


def _blocks(x: Tensor, weight: Tensor, bias: Tensor | None) -> Iterator[Variant]:
    """Rows or columns in blocks of another order, and interleaved."""
    out, width = weight.shape
    what = "the weight" if bias is None else "weight and bias"
    for words, order in block_orders():
        rows, columns = block_order(out, order), block_order(width, order)
        if rows is not None:
            permuted = None if bias is None else bias[rows]
            yield Variant(f"takes the rows of {what} {words}", "in order", partial(linear, x, weight[rows], permuted))
        if rows is not None and bias is not None:
            alone = f"takes the rows of the weight alone {words}"
            yield Variant(alone, "in order", partial(linear, x, weight[rows], bias))
            yield Variant(f"takes the bias {words}", "in order", partial(linear, x, weight, bias[rows]))
        if columns is not None:
            description = f"takes the columns of the weight {words}"
            yield Variant(description, "in order", partial(linear, x, weight[:, columns], bias))
    for count in BLOCKS:
        if out % count == 0:
            woven = torch.arange(out).reshape(count, -1).mT.flatten()
            compute_woven = partial(linear, x, weight[woven], None if bias is None else bias[woven])
            description = f"interleaves the {count} blocks of rows"
            yield Variant(description, "keeps them one after another", compute_woven)


BLOCKS = (2, 3, 4)
"""Numbers of equal blocks that rows or columns may be taken in."""


def block_orders() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every order of 2, 3 or 4 blocks but their own, in words; of those that are alike, the one of fewest blocks."""
    for count in BLOCKS:
        for order in permutations(range(count)):
            if order not in (tuple(range(count)), (2, 3, 0, 1)):
                yield f"in {count} blocks in the order {', '.join(str(k + 1) for k in order)}", order


def block_order(size: int, order: tuple[int, ...]) -> Tensor | None:
    """Indices that put `size` rows' equal blocks in another order; None if there are none."""
    if size % len(order):
        return None
    return torch.arange(size).reshape(len(order), -1)[list(order)].flatten()


LINEAR = OperationDefinition(compute, _variants, rowwise("x", mixes=1))
