"""One number of many: a mean, a sum, a variance along axes.

Role: x. Settings: `how`, a key of `WAYS`; `axes`, negative; `keep`, whether they stay; `unbiased`, of a variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands
from parity.diagnosis.formula import Change, Formula, Options

Way = Callable[..., Tensor]
WAYS: dict[str, tuple[str, Way]] = {
    "mean": ("the mean", lambda x, axes, unbiased: x.mean(axes, keepdim=True)),
    "sum": ("the sum", lambda x, axes, unbiased: x.sum(axes, keepdim=True)),
    "var": ("the variance", lambda x, axes, unbiased: x.var(axes, unbiased=unbiased, keepdim=True)),
    "std": ("the deviation", lambda x, axes, unbiased: x.std(axes, unbiased=unbiased, keepdim=True)),
    "amax": ("the largest", lambda x, axes, unbiased: x.amax(axes, keepdim=True)),
    "amin": ("the smallest", lambda x, axes, unbiased: x.amin(axes, keepdim=True)),
    "norm": ("the norm", lambda x, axes, unbiased: x.square().sum(axes, keepdim=True).sqrt()),
    "square": ("the mean square", lambda x, axes, unbiased: x.square().mean(axes, keepdim=True)),
    "logsumexp": ("the logarithm of the sum of powers", lambda x, axes, unbiased: x.logsumexp(axes, keepdim=True)),
    "first": ("the first", lambda x, axes, unbiased: x.narrow(axes[0], 0, 1)),
    "last": ("the last", lambda x, axes, unbiased: x.narrow(axes[0], x.shape[axes[0]] - 1, 1)),
    "absolute": ("the mean of the absolutes", lambda x, axes, unbiased: x.abs().mean(axes, keepdim=True)),
}


def _compute(
    o: Operands,
    how: str = "mean",
    axes: tuple[int, ...] = (-1,),
    keep: bool = False,
    unbiased: bool = True,
    more: float = 0.0,  # added to the number that a sum is divided by
) -> Tensor:
    result = WAYS[how][1](o["x"], axes, unbiased)
    if more:
        count = torch.Size([o["x"].shape[axis] for axis in axes]).numel()
        result = result * (count - (unbiased and how in ("var", "std"))) / (count + more)
    return result if keep else result.squeeze(axes)


REDUCED = Formula(_compute)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    x, how, axes = o["x"], options["how"], options["axes"]
    canonical = WAYS[how][0]
    if how in ("var", "std"):
        by = {True: "n - 1 (unbiased)", False: "n (biased)"}
        unbiased = options["unbiased"]
        yield Change(f"divides by {by[not unbiased]}", f"by {by[unbiased]}", {"unbiased": not unbiased})
    for other, (words, _) in WAYS.items():
        unbiased = options["unbiased"] if how in ("var", "std") else False
        yield Change(f"takes {words}", canonical, {"how": other, "unbiased": unbiased})
    every = [c for n in (1, 2, 3) for c in combinations(range(-x.ndim, 0), n)]
    for other_axes in every:
        if options["keep"] or len(other_axes) == len(axes):
            words = f"takes {canonical} over {_spelled(other_axes, x.ndim)}"
            yield Change(words, f"over {_spelled(axes, x.ndim)}", {"axes": other_axes}, needs_whole_tensor=True)


def _spelled(axes: tuple[int, ...], ndim: int) -> str:
    return f"{'axis' if len(axes) == 1 else 'axes'} {', '.join(str(axis + ndim) for axis in axes)}"


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    if REDUCED.options(o)["how"] in ("mean", "sum"):
        yield REDUCED.fit(o, "more", "divides by n plus {}", "by n")


OPERATIONS = {"reduced": REDUCED.definition(_changes, fitted_parameters=_fitted_parameters)}
