"""A parameter as it was loaded, against the recorded one, which is the role x.

Other roles may be there: `other` (and `third`, ...) are parameters of the same shape that may be taken for it, such as
an LSTM's other bias. Settings: `gates`, the names of the blocks of rows ("ifco"), if it has such; `parts`, pairs of
name and shape, if it is a flat vector of several.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import permutations

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant
from parity.diagnosis.operations.linear import block_order, block_orders

OTHERWISE = "does not"


def _variants(o: Operands) -> Iterator[Variant]:
    x, gates = o["x"], o.setting("gates", "")
    parts = o.setting("parts", ())
    if parts:
        yield from _of_parts(x, list(parts), gates)
        return
    yield from _gates_moved(x, gates)
    for role, tensor in o.tensors.items():
        if role != "x":
            yield Variant(f"has {o.name(role)} in its place", "itself", tensor.clone)
            yield Variant(f"has {o.name(role)} added to it", OTHERWISE, partial(torch.add, x, tensor))
    yield from _moved(x, gates)


def _orders(gates: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every order of the gates but their own, in words, and of their blocks of rows."""
    for order in permutations(gates) if gates else ():
        if order != tuple(gates):
            yield f"has its gates in the order {', '.join(order)}", tuple(gates.index(gate) for gate in order)


def _gates_moved(x: Tensor, gates: str) -> Iterator[Variant]:
    for description, order in _orders(gates):
        rows = block_order(x.shape[0], order)
        if rows is not None:
            yield Variant(description, ", ".join(gates), partial(torch.index_select, x, 0, rows))


def _moved(x: Tensor, gates: str, flattened: bool = False) -> Iterator[Variant]:
    """The same numbers elsewhere, or none of them."""
    if x.ndim == 2:
        rows, width = x.shape
        yield Variant("is transposed", "is not", lambda: x.mT)
        if rows != width and not flattened:
            yield Variant("is transposed, but reshaped and not turned", "is not", lambda: x.mT.reshape(rows, width))
        if rows % width == 0:
            blocks = x.reshape(-1, width, width)
            yield Variant("has every gate's block transposed", OTHERWISE, lambda: blocks.mT.reshape(rows, width))
    for words, order in () if gates else block_orders():
        index = block_order(x.shape[0], order)
        if index is not None:
            yield Variant(f"has its rows {words}", "in order", partial(torch.index_select, x, 0, index))
    for axis in range(x.ndim):
        yield Variant(f"is reversed along axis {axis}", "is not", partial(torch.flip, x, (axis,)))
    if x.ndim == 2:
        half = block_order(x.shape[1], (1, 0))
        if half is not None:
            yield Variant("has the halves of its columns exchanged", OTHERWISE, lambda: x[:, half])
        woven = _woven(x.shape[0])
        yield Variant("has its two blocks of rows interleaved", OTHERWISE, lambda: x[woven])
    yield Variant("is all zeros (not loaded, or dropped)", "is not", lambda: torch.zeros_like(x), zeros=True)
    yield Variant("is all ones (not loaded)", "is not", lambda: torch.ones_like(x))


def _woven(size: int) -> Tensor:
    return torch.arange(size - size % 2).reshape(2, -1).mT.flatten()


def _of_parts(flat: Tensor, parts: list[tuple[str, tuple[int, ...]]], gates: str) -> Iterator[Variant]:
    """Variants of a flat vector, part by part."""
    sizes = [torch.Size(shape).numel() for _, shape in parts]
    pieces = [piece.reshape(shape) for piece, (_, shape) in zip(torch.split(flat.flatten(), sizes), parts, strict=True)]

    def joined(changed: list[Tensor]) -> Tensor:
        return torch.cat([piece.flatten() for piece in changed]).reshape(flat.shape)

    for description, order in _orders(gates):
        rows = [block_order(piece.shape[0], order) for piece in pieces]
        if all(r is not None for r in rows):
            permuted = [piece[r] for piece, r in zip(pieces, rows, strict=True)]
            yield Variant(description, ", ".join(gates), partial(joined, permuted))
    for i, (name, shape) in enumerate(parts):
        for j in range(i):
            if parts[j][1] == shape:
                swapped = list(pieces)
                swapped[i], swapped[j] = pieces[j], pieces[i]
                description = f"has {parts[j][0]} and {name} exchanged"
                yield Variant(description, OTHERWISE, partial(joined, swapped))
    for places in permutations(range(len(parts))):
        moved = [i for i, place in enumerate(places) if i != place]
        if len({parts[i][1] for i in moved}) > 1 or len(moved) > 2:  # two of one shape are exchanged, as above
            description = "has its parts in the order " + ", ".join(parts[place][0] for place in places)
            yield Variant(description, "in order", partial(joined, [pieces[place] for place in places]))
    for i, (name, _) in enumerate(parts):
        for variant in (*_gates_moved(pieces[i], gates), *_moved(pieces[i], gates, flattened=True)):
            yield Variant(
                f"has its {name} changed: it {variant.description}",
                variant.canonical_description,
                partial(lambda i, variant: joined([*pieces[:i], variant.compute(), *pieces[i + 1 :]]), i, variant),
            )


PARAMETER = OperationDefinition(lambda o: o["x"], _variants)
