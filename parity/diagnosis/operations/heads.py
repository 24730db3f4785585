"""Attention's products and its heads: head a owns features a d ... (a + 1) d - 1, d = H / heads.

`attention_products`: q (T, B, H), k (K, B, H) -> (B, heads, T, K). `attention_mix`: weights (B, heads, T, K), values
(K, B, H) -> (B, heads, T, d); the role `keys` is what may be taken for the values. `merge_heads`: x (B, heads, T, d)
-> (T, B, H). Setting: `heads`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, WindowRule
from parity.diagnosis.formula import Change, Formula, Options, exchange, flipped, on

Split = Callable[[Tensor, int], Tensor]


def _contiguous(x: Tensor, heads: int) -> Tensor:
    """(T, B, H) -> (B, A, T, d)"""
    return torch.unflatten(x, -1, (heads, -1)).permute(1, 2, 0, 3)


def _interleaved(x: Tensor, heads: int) -> Tensor:
    """Head a owns features a, a + A, a + 2 A, ..."""
    return torch.unflatten(x, -1, (-1, heads)).permute(1, 3, 0, 2)


def _viewed(x: Tensor, heads: int) -> Tensor:
    """The numbers as they lie, without moving an axis."""
    steps, batch, width = x.shape
    return x.reshape(batch, heads, steps, width // heads)


def _of_batch(x: Tensor, heads: int) -> Tensor:
    """Batch and heads taken for each other."""
    steps, batch, width = x.shape
    return x.reshape(steps, heads, batch, width // heads).permute(2, 1, 0, 3)


def _of_first(x: Tensor, heads: int) -> Tensor:
    """What the first head has, in every head."""
    split = _contiguous(x, heads)
    return split[:, :1].expand_as(split)


def _of_mean(x: Tensor, heads: int) -> Tensor:
    split = _contiguous(x, heads)
    return split.mean(1, keepdim=True).expand_as(split)


def _shifted(by: int, x: Tensor, heads: int) -> Tensor:
    """Each head's features moved on, round the end."""
    return _contiguous(x, heads).roll(by, -1)


SPLITS: list[tuple[str, str, Split]] = [
    ("gives head a the features a, a + heads, ... (interleaved)", "d neighbouring ones", _interleaved),
    ("reads (T, B, H) as (B, heads, T, d) without moving axes", "moves them", _viewed),
    ("takes batch and heads for each other", "does not", _of_batch),
    ("takes the heads in reverse", "in order", lambda x, heads: _contiguous(x, heads).flip(1)),
    ("takes the first head in the place of every head", "each by itself", _of_first),
    ("takes the mean of the heads in the place of every head", "each by itself", _of_mean),
]
SHIFTS: list[tuple[str, Split]] = [
    (f"takes each head's features of the {{}} shifted by 1 {words}, round the end", partial(_shifted, by))
    for words, by in (("later", 1), ("earlier", -1))
]


def _normed(split: Split, x: Tensor, heads: int) -> Tensor:
    return F.normalize(split(x, heads), dim=-1)


def _products(o: Operands, heads: int = 1, of_q: Split = _contiguous, of_k: Split = _contiguous) -> Tensor:
    return of_q(o["q"], heads) @ of_k(o["k"], heads).mT


def _products_changes(o: Operands, options: Options) -> Iterator[Change]:
    heads, (steps, batch, width), keys = options["heads"], o.shape("q"), o.shape("k")[0]
    for description, canonical, split in SPLITS:
        for whose, roles in (("", ("of_q", "of_k")), (" for queries alone", ("of_q",)), (" for keys alone", ("of_k",))):
            splits = dict.fromkeys(roles, split)
            yield Change(description + whose, canonical, splits, needs_whole_tensor=True)
    for n in dict.fromkeys(n for n in (width // heads, width, steps, keys, heads, batch) if n > 1):
        yield Change(f"divides the products by sqrt({n})", "does not", result=partial(torch.div, other=math.sqrt(n)))
    if steps == keys:
        exchanged = "takes queries for keys and keys for queries"
        yield Change(exchanged, "does not", operands=exchange(("q", "k")), needs_whole_tensor=True)
    cosines = dict.fromkeys(("of_q", "of_k"), lambda x, heads: F.normalize(_contiguous(x, heads), dim=-1))
    yield Change("divides queries and keys by their norms (cosines)", "does not", cosines)
    features = {"of_k": lambda k, heads: _contiguous(k, heads).flip(-1)}
    yield Change("takes each head's features of the keys in reverse", "in order", features)
    yield Change("takes the keys in reverse", "in order", operands=flipped(0, "k"))
    for words, shifted in SHIFTS:
        yield Change(words.format("keys"), "in order", {"of_k": shifted})
    for name, option in (("queries", "of_q"), ("keys", "of_k")):
        normed: Split = partial(_normed, _contiguous)
        yield Change(f"divides the {name} alone by their norms", "does not", {option: normed})


def _mix(o: Operands, heads: int = 1, of_values: Split = _contiguous) -> Tensor:
    return o["weights"] @ of_values(o["values"], heads)


def _mix_changes(o: Operands, options: Options) -> Iterator[Change]:
    if "keys" in o:
        words, own = f"mixes {o.name('keys', 'the keys')}", o.name("values", "the values")
        yield Change(words, own, operands=lambda o: o.having(values=o["keys"]))
    for description, canonical, split in SPLITS:
        yield Change(f"{description} for values", canonical, {"of_values": split}, needs_whole_tensor=True)
    yield Change("takes the values in reverse", "in order", operands=flipped(0, "values"))
    even = on(lambda weights: torch.full_like(weights, 1 / weights.shape[-1]), "weights")
    yield Change("mixes all values alike", "by the weights", operands=even)
    turned = partial(torch.transpose, dim0=-2, dim1=-1)
    yield Change("transposes the weights", "does not", operands=on(turned, "weights"), needs_whole_tensor=True)
    yield Change("takes the heads of the weights in reverse", "in order", operands=flipped(1, "weights"))
    shared = on(lambda weights: weights.mean(1, keepdim=True).expand_as(weights), "weights")
    yield Change("takes the mean over the heads", "each head's weights", operands=shared)
    for words, shifted in SHIFTS:
        yield Change(words.format("values"), "in order", {"of_values": shifted})
    steps, keys = o.shape("weights")[-2:]
    if steps <= keys:
        added = partial(_with_own_values, o, options["heads"])
        yield Change("adds each query's own value to the mix", "does not", result=added)
    n = o.shape("values")[0]
    yield Change(f"divides the mix by the {n} keys", "does not", result=lambda mix: mix / n)


def _with_own_values(o: Operands, heads: int, mix: Tensor) -> Tensor:
    return mix + _contiguous(o["values"], heads)[:, :, -mix.shape[-2] :]


def _merged(x: Tensor) -> Tensor:
    return x.permute(2, 0, 1, 3).flatten(-2)  # (B, A, T, d) -> (T, B, H)


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
        moved, canonical = x.permute(order), "puts the heads one after another"
        yield Variant(description, canonical, partial(moved.reshape, shape), needs_whole_tensor=True)
    yield Variant("takes the heads in reverse", "in order", lambda: _merged(x.flip(1)))


def _axes(by_axis: Mapping[int, Mapping[str, int]]) -> WindowRule:
    return lambda settings, axis: by_axis.get(axis)


OPERATIONS = {
    "attention_products": Formula(_products).definition(
        _products_changes, window_rule=_axes({-4: {"q": -2, "k": -2}, -2: {"q": -3}, -1: {"k": -3}})
    ),
    "attention_mix": Formula(_mix).definition(
        _mix_changes, window_rule=_axes({-4: {"weights": -4, "values": -2, "keys": -2}, -2: {"weights": -2}})
    ),
    "merge_heads": OperationDefinition(
        lambda o: _merged(o["x"]), _merge_variants, _axes({-3: {"x": -2}, -2: {"x": -4}})
    ),
}
