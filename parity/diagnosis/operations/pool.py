"""Pooling over the last axes.

Role: x (B, C, ...). Settings, a number for every axis: `size`, `stride`, `padding`, `dilation`; `how`, "max" or "mean";
`ceil`; `counted` (padding in the mean).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, Formula, Options

Numbers = tuple[int, ...]
MEANS, LARGEST = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), (F.max_pool1d, F.max_pool2d, F.max_pool3d)
WORDS = {"max": "the largest", "mean": "the mean", "sum": "the sum", "least": "the smallest", "norm": "the norm"}


def _compute(
    o: Operands,
    how: str = "max",
    size: Numbers = (2,),
    stride: Numbers = (2,),
    padding: Numbers = (0,),
    dilation: Numbers = (1,),
    ceil: bool = False,
    counted: bool = True,
) -> Tensor:
    x, axis = o["x"], len(size) - 1
    if how in ("max", "least"):
        sign = 1 if how == "max" else -1
        return sign * LARGEST[axis](sign * x, size, stride, padding, dilation, ceil)
    total = 1
    for n in size:
        total *= n
    x = x.square() if how == "norm" else x
    mean: Tensor = MEANS[axis](x, size, stride, padding, ceil, counted)
    return mean if how == "mean" else mean * total if how == "sum" else (mean * total).sqrt()


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    how = options["how"]
    for other, words in WORDS.items():
        yield Change(f"takes {words} of each window", WORDS[how], {"how": other})
    counted = {True: "counts the padding in the mean", False: "leaves the padding out of the mean"}
    if how == "mean":
        yield Change(counted[not options["counted"]], counted[options["counted"]], {"counted": not options["counted"]})
    yield Change(
        "takes the last window too" if not options["ceil"] else "leaves the last window out",
        "does not",
        {"ceil": not options["ceil"]},
    )
    for name, numbers in (("size", (2, 3, 4)), ("stride", (1, 2, 3, 4)), ("padding", (0, 1, 2))):
        for n in numbers:
            yield Change(f"has windows of {name} {n}", f"{options[name][0]}", {name: (n,) * len(options["size"])})


OPERATIONS = {"pool": Formula(_compute).definition(_changes)}
