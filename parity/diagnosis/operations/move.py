"""Numbers moved: a view, a transposition, one part of a split, an index.

Role: x. Settings: `call`, the function of x; `words`, what it is called ("transpose"); `others`, what may be done in
its place, as triples of words, words for the canonical, and function.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import permutations

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant

Way = tuple[str, Callable[[Tensor], Tensor]]
"""How numbers are moved, in words and as a function of them."""
MOST_AXES = 5


def _compute(o: Operands) -> Tensor:
    result: Tensor = o.settings["call"](o["x"])
    return result


def _variants(o: Operands) -> Iterator[Variant]:
    x, move = o["x"], o.settings["call"]
    for description, canonical, other in o.setting("others", ()):
        yield Variant(description, canonical, partial(other, x), needs_whole_tensor=True)
    places = torch.arange(x.numel()).reshape(x.shape)
    try:
        canonical_places = move(places)
    except (RuntimeError, TypeError):  # a function of numbers and not of places
        return
    words = f"does {o.setting('words', 'as it does')}"
    for description, other in _other_ways(tuple(x.shape), tuple(canonical_places.shape), _digest(canonical_places)):
        yield Variant(description, words, partial(other, x), needs_whole_tensor=True)


def _digest(places: Tensor) -> bytes:
    return hashlib.sha256(places.numpy().tobytes()).digest()


@lru_cache(maxsize=1024)
def _other_ways(shape: Sequence[int], wanted: Sequence[int], canonical: bytes) -> tuple[Way, ...]:
    """The ways that move numbers to other places than the canonical one, whose digest is given, and than each other."""
    places = torch.arange(math.prod(shape)).reshape(shape)
    seen, found = {canonical}, []
    for description, way in _ways(shape, wanted):
        digest = _digest(way(places))
        if digest not in seen:
            seen.add(digest)
            found.append((description, way))
    return tuple(found)


def _ways(shape: Sequence[int], wanted: Sequence[int]) -> Iterator[Way]:
    """Every way to the wanted shape by one permutation and one reading in another shape, in either order."""
    if torch.Size(shape).numel() == torch.Size(wanted).numel() and max(len(shape), len(wanted)) <= MOST_AXES:
        same = tuple(shape) == tuple(wanted)
        yield (
            "moves nothing" if same else "reads the numbers as they lie, without moving axes",
            partial(torch.reshape, shape=tuple(wanted)),
        )
        for order in permutations(range(len(wanted))):
            read = [0] * len(wanted)
            for place, axis in enumerate(order):
                read[axis] = wanted[place]
            words = f"reads the numbers as {_spelled(read)} and puts the axes in the order {_spelled(order)}"
            yield words, partial(_read_and_moved, tuple(read), order)
        for order in permutations(range(len(shape))):
            words = f"puts the axes in the order {_spelled(order)} and reads the numbers as {_spelled(wanted)}"
            yield words, partial(_moved_and_read, order, tuple(wanted))
    grown = [axis for axis, (a, b) in enumerate(zip(shape, wanted, strict=False)) if a != b]
    if len(shape) == len(wanted) and len(grown) == 1 and wanted[grown[0]] % max(shape[grown[0]], 1) == 0:
        axis, times = grown[0], wanted[grown[0]] // max(shape[grown[0]], 1)
        words = f"repeats all of axis {axis} {times} times, one after another"
        yield words, lambda x: torch.cat([x] * times, axis)
        words = f"repeats every row of axis {axis} {times} times in turn"
        yield words, partial(torch.repeat_interleave, repeats=times, dim=axis)


def _read_and_moved(read: tuple[int, ...], order: tuple[int, ...], x: Tensor) -> Tensor:
    return x.reshape(read).permute(order)


def _moved_and_read(order: tuple[int, ...], wanted: tuple[int, ...], x: Tensor) -> Tensor:
    return x.permute(order).reshape(wanted)


def _spelled(numbers: Sequence[int]) -> str:
    return f"({', '.join(map(str, numbers))})"


OPERATIONS = {"move": OperationDefinition(_compute, _variants)}
