"""A parameter as it was loaded, against the recorded one, which is the role x.

Other roles may be there: `other` (and `third`, ...) are parameters of the same shape that may be taken for it, such as
an LSTM's other bias. Settings: `gates`, the names of the blocks of rows ("ifco"), if it has such; `parts`, pairs of
name and shape, if it is a flat vector of several.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations, permutations

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant
from parity.diagnosis.operations.weights import block_order, block_orders, gates_transposed, interleaved, reshaped

OTHERWISE = "does not"


def _variants(o: Operands) -> Iterator[Variant]:
    x, gates = o["x"], o.setting("gates", "")
    if o.setting("parts", ()):
        yield from _of_parts(x, o.settings["parts"], gates)
        return
    yield from _gates_moved(x, gates)
    for role, tensor in o.tensors.items():
        if role != "x":
            yield Variant(f"has {o.name(role)} in its place", "itself", tensor.clone)
            yield Variant(f"has {o.name(role)} added to it", OTHERWISE, partial(torch.add, x, tensor))
    yield from _moved(x, gates)


def _orders(gates: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every order of the gates but their own: in words, and as an order of their blocks of rows."""
    for order in [*permutations(range(len(gates)))][1:]:
        yield f"has its gates in the order {', '.join(gates[place] for place in order)}", order


def _gates_moved(x: Tensor, gates: str) -> Iterator[Variant]:
    return _rows_moved(x, _orders(gates), ", ".join(gates))


def _rows_moved(x: Tensor, orders: Iterable[tuple[str, tuple[int, ...]]], canonical: str) -> Iterator[Variant]:
    for description, order in orders:
        rows = block_order(x.shape[0], order)
        if rows is not None:
            yield Variant(description, canonical, partial(torch.index_select, x, 0, rows))


def _moved(x: Tensor, gates: str, flattened: bool = False) -> Iterator[Variant]:
    """The same numbers in other places, or other numbers altogether."""
    if x.ndim == 2:
        rows, width = x.shape
        yield Variant("is transposed", "is not", lambda: x.mT)
        if rows != width and not flattened:
            yield Variant("is transposed, but reshaped and not turned", "is not", lambda: reshaped(x))
        if rows % width == 0:
            yield Variant("has every gate's block transposed", OTHERWISE, lambda: gates_transposed(x))
    if not gates:
        yield from _rows_moved(x, ((f"has its rows {words}", order) for words, order in block_orders()), "in order")
    for axis in range(x.ndim):
        yield Variant(f"is reversed along axis {axis}", "is not", partial(torch.flip, x, (axis,)))
    if x.ndim == 2:
        half = block_order(x.shape[1], (1, 0))
        if half is not None:
            yield Variant("has the halves of its columns exchanged", OTHERWISE, lambda: x[:, half])
        woven = interleaved(x.shape[0], 2)
        yield Variant("has its two blocks of rows interleaved", OTHERWISE, lambda: x[woven])
    yield Variant("is all zeros (not loaded, or dropped)", "is not", lambda: torch.zeros_like(x), zeros=True)
    yield Variant("is all ones (not loaded)", "is not", lambda: torch.ones_like(x))


def _of_parts(flat: Tensor, parts: Sequence[tuple[str, tuple[int, ...]]], gates: str) -> Iterator[Variant]:
    """Variants of a flat vector, part by part."""
    names, shapes = zip(*parts, strict=True)
    sizes = [torch.Size(shape).numel() for shape in shapes]
    pieces = [piece.reshape(shape) for piece, shape in zip(torch.split(flat.flatten(), sizes), shapes, strict=True)]

    def joined(changed: Sequence[Tensor]) -> Tensor:
        return torch.cat([piece.flatten() for piece in changed]).reshape(flat.shape)

    for description, order in _orders(gates):
        rows = [block_order(piece.shape[0], order) for piece in pieces]
        if all(r is not None for r in rows):
            permuted = [piece[r] for piece, r in zip(pieces, rows, strict=True)]
            yield Variant(description, ", ".join(gates), partial(joined, permuted))
    for i, j in combinations(range(len(parts)), 2):
        if shapes[i] == shapes[j]:
            swapped = [pieces[{i: j, j: i}.get(k, k)] for k in range(len(parts))]
            yield Variant(f"has {names[i]} and {names[j]} exchanged", OTHERWISE, partial(joined, swapped))
    for places in permutations(range(len(parts))):
        moved = [i for i, place in enumerate(places) if i != place]
        if len({shapes[i] for i in moved}) > 1 or len(moved) > 2:  # two of one shape are exchanged, as above
            words = "has its parts in the order " + ", ".join(names[place] for place in places)
            yield Variant(words, "in order", partial(joined, [pieces[place] for place in places]))
    for i, name in enumerate(names):
        for variant in (*_gates_moved(pieces[i], gates), *_moved(pieces[i], gates, flattened=True)):
            changed = partial(lambda i, variant: joined([*pieces[:i], variant.compute(), *pieces[i + 1 :]]), i, variant)
            words = f"has its {name} changed: it {variant.description}"
            yield Variant(words, variant.canonical_description, changed)


OPERATIONS = {"parameter": OperationDefinition(lambda o: o["x"], _variants)}
