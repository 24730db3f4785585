"""Chunks of the last axis added up, (..., F) -> (..., H): F is cut down to a multiple of H, the setting `width`.

Setting `rule`: "elementwise", the sum of the F/H chunks; "totals", output k is the sum of all of chunk k and every
output from F/H on is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, for_each, rowwise

Rule = Callable[[Tensor, int], Tensor]


def _chunks(x: Tensor, width: int) -> Tensor:
    """(..., F/H, H)"""
    count = x.shape[-1] // width
    return x[..., : count * width].reshape(*x.shape[:-1], count, width)


def _woven(x: Tensor, width: int) -> Tensor:
    """Chunk k as features k, k + F/H, k + 2 F/H, ...; (..., F/H, H)"""
    count = x.shape[-1] // width
    return x[..., : count * width].reshape(*x.shape[:-1], width, count).mT


def _totals(chunks: Tensor) -> Tensor:
    count, width = chunks.shape[-2:]
    return F.pad(chunks.sum(-1), (0, width - count))


def _totals_last(chunks: Tensor) -> Tensor:
    count, width = chunks.shape[-2:]
    return F.pad(chunks.sum(-1), (width - count, 0))


def _totals_repeated(chunks: Tensor) -> Tensor:
    count, width = chunks.shape[-2:]
    return chunks.sum(-1).repeat_interleave(width // count, -1)


RULES: dict[str, tuple[str, Rule]] = {
    "elementwise": ("adds the chunks element by element", lambda x, w: _chunks(x, w).sum(-2)),
    "totals": ("gives the total of each chunk, and zeros for the rest", lambda x, w: _totals(_chunks(x, w))),
    "mean": ("takes the mean of the chunks", lambda x, w: _chunks(x, w).mean(-2)),
    "chunk means": (
        "gives the mean of each chunk, and zeros for the rest",
        lambda x, w: _totals(_chunks(x, w)) / w,
    ),
    "strided": ("adds every F/H neighbouring features", lambda x, w: _woven(x, w).sum(-2)),
    "strided totals": (
        "gives the total of every F/H-th feature, and zeros for the rest",
        lambda x, w: _totals(_woven(x, w)),
    ),
    "totals last": ("gives zeros first, and then the total of each chunk", lambda x, w: _totals_last(_chunks(x, w))),
    "totals repeated": ("repeats the total of each chunk", lambda x, w: _totals_repeated(_chunks(x, w))),
    "reversed": ("reverses what it gives for the element by element sum", lambda x, w: _chunks(x, w).sum(-2).flip(-1)),
    "totals reversed": (
        "reverses the totals of the chunks with their zeros",
        lambda x, w: _totals(_chunks(x, w)).flip(-1),
    ),
    "totals in reverse": (
        "takes the totals of the chunks last to first, before the zeros",
        lambda x, w: _totals(_chunks(x, w).flip(-2)),
    ),
    "all": (
        "gives the total of all chunks in every output",
        lambda x, w: _chunks(x, w).sum((-2, -1))[..., None].expand(*x.shape[:-1], w),
    ),
    "product": ("multiplies the chunks element by element", lambda x, w: _chunks(x, w).prod(-2)),
    "largest": ("takes the largest of the chunks element by element", lambda x, w: _chunks(x, w).amax(-2)),
    "without last": ("leaves the last chunk out", lambda x, w: _chunks(x, w)[..., :-1, :].sum(-2)),
    "without first": ("leaves the first chunk out", lambda x, w: _chunks(x, w)[..., 1:, :].sum(-2)),
    "first": ("takes the first chunk alone", lambda x, w: _chunks(x, w)[..., 0, :]),
    "last": ("takes the last chunk alone", lambda x, w: _chunks(x, w)[..., -1, :]),
    "totals without last": (
        "leaves the last chunk's total out",
        lambda x, w: _totals(_chunks(x, w)[..., :-1, :]),
    ),
    "totals without first": (
        "leaves the first chunk's total out and moves the others up",
        lambda x, w: _totals(_chunks(x, w)[..., 1:, :]),
    ),
    "from the end": (
        "cuts the features down at their start",
        lambda x, w: _chunks(x[..., x.shape[-1] % w :], w).sum(-2),
    ),
    "alternating": (
        "subtracts every other chunk",
        lambda x, w: (_chunks(x, w) * _signs(x, w)).sum(-2),
    ),
}


def _signs(x: Tensor, width: int) -> Tensor:
    """1, -1, 1, ... for the chunks, (F/H, 1)"""
    return 1 - 2 * (torch.arange(x.shape[-1] // width) % 2)[:, None]


def _compute(o: Operands) -> Tensor:
    return RULES[o.setting("rule", "elementwise")][1](o["x"], o.settings["width"])


def _variants(o: Operands) -> Iterator[Variant]:
    own = o.setting("rule", "elementwise")
    x, width = o["x"], o.settings["width"]
    for name, (description, rule) in RULES.items():
        if name != own:
            yield Variant(description, RULES[own][0], partial(rule, x, width))
    counts = range(2, x.shape[-1] // width - 1)
    first = "takes the first {} chunks alone"
    yield from for_each(counts, first, "all of them", lambda k: RULES[own][1](x[..., : k * width], width))


CHUNK_SUMS = OperationDefinition(_compute, _variants, rowwise("x", mixes=1))
