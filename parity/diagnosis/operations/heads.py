"""Attention's products and its heads: head a owns features a d ... (a + 1) d - 1, d = H / heads.

`attention_products`: q (T, B, H), k (K, B, H) -> (B, heads, T, K). `attention_mix`: weights (B, heads, T, K), values
(K, B, H) -> (B, heads, T, d); the role `keys` is what may be taken for the values. `merge_heads`: x (B, heads, T, d)
-> (T, B, H). Setting: `heads`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, WindowRule, for_each

Split = Callable[[Tensor, int], Tensor]


def _contiguous(x: Tensor, heads: int) -> Tensor:
    """(T, B, H) -> (B, A, T, d)"""
    steps, batch, width = x.shape
    return x.reshape(steps, batch, heads, width // heads).permute(1, 2, 0, 3)


def _interleaved(x: Tensor, heads: int) -> Tensor:
    """Head a owns features a, a + A, a + 2 A, ..."""
    steps, batch, width = x.shape
    return x.reshape(steps, batch, width // heads, heads).permute(1, 3, 0, 2)


def _viewed(x: Tensor, heads: int) -> Tensor:
    """The numbers as they lie, without moving an axis."""
    steps, batch, width = x.shape
    return x.reshape(batch, heads, steps, width // heads)


def _of_batch(x: Tensor, heads: int) -> Tensor:
    """Batch and heads taken for each other."""
    steps, batch, width = x.shape
    return x.reshape(steps, heads, batch, width // heads).permute(2, 1, 0, 3)


def _reversed(x: Tensor, heads: int) -> Tensor:
    return _contiguous(x, heads).flip(1)


SPLITS: list[tuple[str, str, Split]] = [
    ("gives head a the features a, a + heads, ... (interleaved)", "d neighbouring ones", _interleaved),
    ("reads (T, B, H) as (B, heads, T, d) without moving axes", "moves them", _viewed),
    ("takes batch and heads for each other", "does not", _of_batch),
    ("takes the heads in reverse", "in order", _reversed),
]


def _products(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT


def _split_products(q: Tensor, k: Tensor, heads: int, of_q: Split, of_k: Split) -> Tensor:
    return _products(of_q(q, heads), of_k(k, heads))


def _qk(o: Operands) -> Tensor:
    heads = o.setting("heads", 1)
    return _split_products(o["q"], o["k"], heads, _contiguous, _contiguous)


def _qk_variants(o: Operands) -> Iterator[Variant]:
    heads, q, k = o.setting("heads", 1), o["q"], o["k"]
    (steps, batch, width), keys = o.shape("q"), o.shape("k")[0]
    split_q, split_k = _contiguous(q, heads), _contiguous(k, heads)
    for description, canonical, split in SPLITS:
        alone = (" for queries alone", split, _contiguous), (" for keys alone", _contiguous, split)
        for whose, of_q, of_k in (("", split, split), *alone):
            compute = partial(_split_products, q, k, heads, of_q, of_k)
            yield Variant(description + whose, canonical, compute, needs_whole_tensor=True)
    sizes = dict.fromkeys(n for n in (width // heads, width, steps, keys, heads, batch) if n > 1)
    yield from for_each(sizes, "divides the products by sqrt({})", "does not", lambda n: _qk(o) / math.sqrt(n))
    if steps == keys:
        yield Variant(
            "takes queries for keys and keys for queries", "does not", lambda: _qk(o).mT, needs_whole_tensor=True
        )
    yield Variant(
        "divides queries and keys by their norms (cosines)",
        "does not",
        lambda: _products(F.normalize(split_q, dim=-1), F.normalize(split_k, dim=-1)),
    )
    yield Variant(
        "takes each head's features of the keys in reverse", "in order", lambda: _products(split_q, split_k.flip(-1))
    )
    yield Variant("takes the keys in reverse", "in order", lambda: _products(split_q, split_k.flip(-2)))


def _mix(o: Operands) -> Tensor:
    return _mixed(o["weights"], o["values"], o.setting("heads", 1), _contiguous)


def _mixed(weights: Tensor, values: Tensor, heads: int, split: Split) -> Tensor:
    return weights @ split(values, heads)


def _mix_variants(o: Operands) -> Iterator[Variant]:
    heads, weights, values = o.setting("heads", 1), o["weights"], o["values"]
    split = _contiguous(values, heads)
    if "keys" in o:
        taken = o.keys.get("keys", "the keys")
        yield Variant(
            f"mixes {taken}", o.keys.get("values", "the values"), lambda: weights @ _contiguous(o["keys"], heads)
        )
    for description, canonical, other in SPLITS:
        compute = partial(_mixed, weights, values, heads, other)
        yield Variant(f"{description} for values", canonical, compute, needs_whole_tensor=True)
    yield Variant("takes the values in reverse", "in order", lambda: weights @ split.flip(-2))
    yield Variant("mixes all values alike", "by the weights", lambda: split.mean(-2, keepdim=True).expand_as(_mix(o)))
    yield Variant("transposes the weights", "does not", lambda: weights.mT @ split, needs_whole_tensor=True)
    yield Variant("takes the heads of the weights in reverse", "in order", lambda: weights.flip(1) @ split)
    yield Variant("takes the mean over the heads", "each head's weights", lambda: _shared(weights) @ split)
    n = o.shape("values")[0]
    yield Variant(f"divides the mix by the {n} keys", "does not", lambda: weights @ split / n)


def _shared(weights: Tensor) -> Tensor:
    return weights.mean(1, keepdim=True).expand_as(weights)


def _merge(o: Operands) -> Tensor:
    return o["x"].permute(2, 0, 1, 3).flatten(-2)  # (B, A, T, d) -> (T, B, H)


def _merge_variants(o: Operands) -> Iterator[Variant]:
    x = o["x"]
    batch, heads, steps, width = x.shape
    shape = (steps, batch, heads * width)
    orders: list[tuple[str, tuple[int, ...]]] = [
        ("interleaves the heads' features", (2, 0, 3, 1)),
        ("reads (B, heads, T, d) as (T, B, H) without moving axes", (0, 1, 2, 3)),
        ("moves the heads next to the features, but the batch before time", (0, 2, 1, 3)),
        ("takes batch and heads for each other", (2, 1, 0, 3)),
        ("takes heads for time", (1, 0, 2, 3)),
        ("puts time first without moving the heads", (2, 1, 3, 0)),
    ]
    for description, order in orders:
        words = "puts the heads one after another"
        yield Variant(
            description, words, partial(lambda order: x.permute(order).reshape(shape), order), needs_whole_tensor=True
        )
    yield Variant("takes the heads in reverse", "in order", lambda: x.flip(1).permute(2, 0, 1, 3).flatten(-2))


def _axes(by_axis: Mapping[int, Mapping[str, int]]) -> WindowRule:
    return lambda settings, axis: by_axis.get(axis)


ATTENTION_PRODUCTS = OperationDefinition(
    _qk, _qk_variants, _axes({-4: {"q": -2, "k": -2}, -2: {"q": -3}, -1: {"k": -3}})
)
ATTENTION_MIX = OperationDefinition(
    _mix, _mix_variants, _axes({-4: {"weights": -4, "values": -2, "keys": -2}, -2: {"weights": -2}})
)
MERGE_HEADS = OperationDefinition(_merge, _merge_variants, _axes({-3: {"x": -2}, -2: {"x": -4}}))
