"""Chunks of the last axis added up, (..., F) -> (..., H): F is cut down to a multiple of H, the setting `width`.

Setting `rule`: "elementwise", the sum of the F/H chunks; "totals", output k is the sum of all of chunk k and every
output from F/H on is 0.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, rowwise


def _chunks(x: Tensor, width: int) -> Tensor:
    """(..., F/H, H)"""
    count = x.shape[-1] // width
    return torch.unflatten(x[..., : count * width], -1, (count, width))


def _woven(chunks: Tensor) -> Tensor:
    """Chunk k of the features k, k + F/H, k + 2 F/H, ...; (..., F/H, H)"""
    count, width = chunks.shape[-2:]
    return torch.unflatten(chunks.flatten(-2), -1, (width, count)).mT


def _totals(chunks: Tensor) -> Tensor:
    return _of_each(lambda c: c.sum(-1), chunks)


Rule = Callable[[Tensor], Tensor]


def _of_each(statistic: Rule, chunks: Tensor) -> Tensor:
    """One number of each chunk, and zeros for the rest."""
    count, width = chunks.shape[-2:]
    return F.pad(statistic(chunks), (0, width - count))


RULES: dict[str, tuple[str, Rule]] = {
    "elementwise": ("adds the chunks element by element", lambda c: c.sum(-2)),
    "totals": ("gives the total of each chunk, and zeros for the rest", _totals),
}
"""By the setting `rule`: a description of the rule, and what it makes of the chunks."""
OTHERS: dict[str, Rule] = {
    "takes the mean of the chunks": lambda c: c.mean(-2),
    "gives the mean of each chunk, and zeros for the rest": lambda c: _totals(c) / c.shape[-1],
    "adds every F/H neighbouring features": lambda c: _woven(c).sum(-2),
    "gives the total of every F/H-th feature, and zeros for the rest": lambda c: _totals(_woven(c)),
    "gives zeros first, and then the total of each chunk": lambda c: _totals(c).roll(c.shape[-1] - c.shape[-2], -1),
    "repeats the total of each chunk": lambda c: c.sum(-1).repeat_interleave(c.shape[-1] // c.shape[-2], -1),
    "reverses what it gives for the element by element sum": lambda c: c.sum(-2).flip(-1),
    "reverses the totals of the chunks with their zeros": lambda c: _totals(c).flip(-1),
    "takes the totals of the chunks last to first, before the zeros": lambda c: _totals(c.flip(-2)),
    "gives the total of all chunks in every output": lambda c: c.sum((-2, -1))[..., None].expand_as(c[..., 0, :]),
    "leaves the last chunk out": lambda c: c[..., :-1, :].sum(-2),
    "leaves the first chunk out": lambda c: c[..., 1:, :].sum(-2),
    "takes the first chunk alone": lambda c: c[..., 0, :],
    "takes the last chunk alone": lambda c: c[..., -1, :],
    "leaves the last chunk's total out": lambda c: _totals(c[..., :-1, :]),
    "leaves the first chunk's total out and moves the others up": lambda c: _totals(c[..., 1:, :]),
    "subtracts every other chunk": lambda c: c[..., ::2, :].sum(-2) - c[..., 1::2, :].sum(-2),
}
STATISTICS: dict[str, Callable[[int, Tensor], Tensor]] = {
    "the largest": lambda axis, c: c.amax(axis),
    "the smallest": lambda axis, c: c.amin(axis),
    "the median": lambda axis, c: c.median(axis).values,
    "the norm": lambda axis, c: torch.linalg.vector_norm(c, dim=axis),
    "the sum of squares": lambda axis, c: c.square().sum(axis),
    "the root of the mean square": lambda axis, c: c.square().mean(axis).sqrt(),
    "the sum of the sizes": lambda axis, c: c.abs().sum(axis),
    "the sum over the root of the count": lambda axis, c: c.sum(axis) / math.sqrt(c.shape[axis]),
    "the log sum exp": lambda axis, c: c.logsumexp(axis),
    "the deviation, by n - 1": lambda axis, c: c.std(axis),
    "the deviation, by n": lambda axis, c: c.std(axis, correction=0),
    "the product": lambda axis, c: c.prod(axis),
}
"""What may be taken of the chunks, or of each, in place of the sum."""


def _others() -> Iterator[tuple[str, Rule]]:
    yield from OTHERS.items()
    for words, statistic in STATISTICS.items():
        yield f"takes {words} of the chunks element by element", partial(statistic, -2)
        yield f"gives {words} of each chunk, and zeros for the rest", partial(_of_each, partial(statistic, -1))


def _compute(o: Operands) -> Tensor:
    return RULES[o.setting("rule", "elementwise")][1](_chunks(o["x"], o.settings["width"]))


def _variants(o: Operands) -> Iterator[Variant]:
    canonical, rule = RULES[o.setting("rule", "elementwise")]
    x, width = o["x"], o.settings["width"]
    chunks = _chunks(x, width)
    for description, other in (*RULES.values(), *_others()):
        if description != canonical:
            yield Variant(description, canonical, partial(other, chunks))
    from_the_end = _chunks(x[..., x.shape[-1] % width :], width).sum(-2)
    yield Variant("cuts the features down at their start", canonical, from_the_end.clone)
    for count in range(2, chunks.shape[-2] - 1):
        words = f"takes the first {count} chunks alone"
        yield Variant(words, "all of them", partial(rule, chunks[..., :count, :]))


OPERATIONS = {"chunk_sums": OperationDefinition(_compute, _variants, rowwise("x", mixes=1))}
