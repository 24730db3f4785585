"""A parameter as it was loaded, against the recorded one, which is the role x.

Other roles may be there: `other` (and `third`, ...) are parameters of the same shape that may be taken for it, such as
an LSTM's other bias. Settings: `gates`, the names of the blocks of rows ("ifco"), if it has such; `parts`, pairs of
name and shape, if it is a flat vector of several; `held`, what the subject has, and `start`, how torch draws such a
parameter at first.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations, permutations

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant
from parity.diagnosis.operations.weights import block_order, block_orders, gates_transposed, interleaved, reshaped

OTHERWISE = "does not"
DRAWN = 32
"""Numbers from which on their distribution tells how they were drawn."""
ALIKE = 4.0
"""Standard errors within which a mean, a deviation or a correlation is as expected."""


def _variants(o: Operands) -> Iterator[Variant]:
    x, gates = o["x"], o.setting("gates", "")
    if o.setting("parts", ()):
        yield from _of_parts(x, o.settings["parts"], gates)
        return
    yield from _gates_moved(x, gates)
    for role, tensor in o.tensors.items():
        if role != "x" and tensor.shape == x.shape:
            yield Variant(f"has {o.name(role)} in its place", "itself", tensor.clone)
            yield Variant(f"has {o.name(role)} added to it", OTHERWISE, partial(torch.add, x, tensor))
        if role != "x" and tensor.ndim == 2 and tensor.mT.shape == x.shape:
            yield Variant(f"has {o.name(role)} transposed in its place", "itself", tensor.mT.clone)
    yield from _moved(x, gates)
    yield from _numbers(x)
    yield from _woven(x)
    yield from _initial(o)


def _numbers(x: Tensor) -> Iterator[Variant]:
    """Other numbers at the same places."""
    yield Variant("has its sign turned", "has it as it is", lambda: -x)
    yield Variant("has 1 subtracted (a gain that is read as 1 + gain)", "has not", lambda: x - 1)
    yield Variant("has 1 added (a gain that was kept as gain - 1)", "has not", lambda: x + 1)
    for words, function in (
        ("its root", torch.sqrt),
        ("its square", torch.square),
        ("its inverse", torch.reciprocal),
        ("its logarithm", torch.log),
        ("its exponential", torch.exp),
        ("one over its root", torch.rsqrt),
        ("its sigmoid", torch.sigmoid),
        ("its absolute", torch.abs),
    ):
        yield Variant(f"is {words}", "is not", partial(function, x))
    for power in range(1, 13):
        step = 2.0**-power
        yield Variant(f"is rounded to multiples of 1/{2**power}", "is not", partial(_to_grid, step, x))
    for levels in (127, 7):
        words = f"is quantised to {levels} steps either side of 0"
        yield Variant(words, "is not", partial(_to_grid, float(x.abs().max()) / levels or 1.0, x))
    for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        yield Variant(f"is rounded to {name}", "is not", partial(_rounded, dtype, x))


def _to_grid(step: float, x: Tensor) -> Tensor:
    return (x / step).round() * step


def _rounded(dtype: torch.dtype, x: Tensor) -> Tensor:
    return x.to(dtype).to(x.dtype)


def _woven(x: Tensor) -> Iterator[Variant]:
    """Rows or columns regrouped: in turn from blocks, as a whole or within each head."""
    seen: list[Tensor] = [x]
    for axis, name in enumerate(("rows", "columns")[: x.ndim]):
        size = x.shape[axis]
        for heads in (n for n in range(1, size // 4 + 1) if size % n == 0):
            within = size // heads
            for count in (n for n in range(2, within // 2 + 1) if within % n == 0):
                rows = torch.arange(size).reshape(heads, count, -1).mT.flatten()
                value = x.index_select(axis, rows)
                if not any(torch.equal(value, earlier) for earlier in seen):
                    seen.append(value)
                    place = f"each of {heads} blocks of its {name}" if heads > 1 else f"its {name}"
                    words = f"has {place} interleaved, one of each of {count} parts in turn"
                    yield Variant(words, OTHERWISE, value.clone)
    if x.ndim > 2:
        for order in [*permutations(range(x.ndim))][1:]:
            turned = x.permute(order)
            spelled = ", ".join(map(str, order))
            yield Variant(f"has its axes in the order {spelled}", "in their own", turned.clone)
            if turned.shape != x.shape:
                words = f"has its axes in the order {spelled}, but reshaped and not turned"
                yield Variant(words, "in their own", partial(turned.reshape, x.shape))
        yield Variant("is turned round in all axes of its kernel", "is not", lambda: x.flip([*range(2, x.ndim)]))
    for axis in range(x.ndim):
        for shift in (1, -1, 2, -2, 3, -3):
            if abs(shift) < x.shape[axis]:
                far = f"{abs(shift)} {'row' if abs(shift) == 1 else 'rows'} {'later' if shift > 0 else 'earlier'}"
                yield Variant(f"is shifted by {far} in axis {axis}", "is not", partial(torch.roll, x, shift, axis))


def _initial(o: Operands) -> Iterator[Variant]:
    """What torch's own initialisation may have drawn, unlike what was recorded: the numbers were not loaded."""
    start, held = o.setting("start", None), o.setting("held", None)
    if start is None or held is None or held.shape != o["x"].shape or held.numel() < DRAWN:
        return
    kind, size = start
    n, flat = held.numel(), held.flatten()
    both = torch.stack([flat, o["x"].flatten()])
    unrelated = bool(torch.corrcoef(both)[0, 1].abs() * n**0.5 < ALIKE)
    drawn = size if kind == "normal" else size / 3**0.5
    fits = abs(float(flat.std()) / drawn - 1) * n**0.5 < ALIKE and abs(float(flat.mean()) / drawn) * n**0.5 < ALIKE
    inside = kind == "normal" or float(flat.abs().max()) <= size * (1 + 1e-6)
    if unrelated and fits and inside:
        words = f"is as torch initialises it ({kind}, {size:.3g}), unrelated to what was recorded: it was not loaded"
        yield Variant(words, "is loaded", held.clone)


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
