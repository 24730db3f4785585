"""A linear map: x W' + b.

Roles: x (..., in), weight (out, in), bias (out,) or none.
"""

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, rowwise
from parity.diagnosis.formula import Change, Formula, Options, flipped, on
from parity.diagnosis.operations.weights import (
    BLOCKS,
    bias_changes,
    block_order,
    block_orders,
    interleaved,
    reshaped,
    reshaped_back,
)


def _compute(o: Operands) -> Tensor:
    y = o["x"] @ o["weight"].mT  # (..., out)
    return y + o["bias"] if "bias" in o else y


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    width = o["weight"].shape[1]
    yield Change("transposes the weight", "does not", operands=on(torch.t, "weight"))
    words = "reads the transposed weight as if it were not (reshaped, not transposed)"
    yield Change(words, "takes it as it is", operands=on(reshaped, "weight"))
    words = "reads the weight's numbers as if it were the transposed one"
    yield Change(words, "as they are", operands=on(reshaped_back, "weight"))
    if "bias" in o:
        yield from bias_changes("bias", "the bias")
        yield Change("takes the bias in reverse", "in order", operands=flipped(0, "bias"))
        early = on(lambda x: x + o["bias"], "x")
        yield Change("adds the bias before the weight", "after it", operands=lambda o: early(o).without("bias"))
    root, as_it_is = math.sqrt(width), "leaves it as it is"
    yield Change(f"scales the weight by 1 / sqrt({width})", as_it_is, operands=on(lambda w: w / root, "weight"))
    yield Change(f"scales the weight by sqrt({width})", as_it_is, operands=on(lambda w: w * root, "weight"))
    yield Change("takes the weight's negative", "the weight as it is", operands=on(torch.neg, "weight"))
    for axis, name in enumerate(("rows", "columns")):
        yield Change(f"takes the {name} of the weight in reverse", "in order", operands=flipped(axis, "weight"))
    yield from _blocks(o)


def _blocks(o: Operands) -> Iterator[Change]:
    """Rows or columns in blocks of another order, and interleaved."""
    (out, width), biased = o["weight"].shape, "bias" in o
    both = ("weight", "bias") if biased else ("weight",)
    of_rows = {f"the rows of {'weight and bias' if biased else 'the weight'}": both}
    if biased:
        of_rows |= {"the rows of the weight alone": ("weight",), "the bias": ("bias",)}
    for words, order in block_orders():
        rows, columns = block_order(out, order), block_order(width, order)
        if rows is not None:
            for what, roles in of_rows.items():
                yield Change(f"takes {what} {words}", "in order", operands=on(_indexed(0, rows), *roles))
        if columns is not None:
            columned = on(_indexed(1, columns), "weight")
            yield Change(f"takes the columns of the weight {words}", "in order", operands=columned)
    for count in BLOCKS:
        if out % count == 0:
            for alone, roles in {"": both, **({" of the weight alone": ("weight",)} if biased else {})}.items():
                if roles:
                    woven = on(_indexed(0, interleaved(out, count)), *roles)
                    words = f"interleaves the {count} blocks of rows{alone}"
                    yield Change(words, "keeps them one after another", operands=woven)


def _indexed(axis: int, index: Tensor) -> partial[Tensor]:
    return partial(torch.index_select, dim=axis, index=index)


OPERATIONS = {"linear": Formula(_compute).definition(_changes, window_rule=rowwise("x", mixes=1))}
