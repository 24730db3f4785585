"""Which of a reference's parameters each of a module's is, and how it is made of it."""

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

from parity.arrangement import MOST_AXES
from parity.errors import UsageError
from parity.module.compiled import uncompiled
from parity.recording.arrays import as_tensor
from parity.recording.recording import Recording

NEAR = 1e-6
"""Of a parameter's scale: how near two are that are taken for the same."""
MOST_FUSED = 4
"""Parameters that one may be made of, or be a part of: the gates of an LSTM, queries, keys and values."""
WORDS = {"kernel": "weight", "scale": "weight", "gamma": "weight", "embedding": "weight", "beta": "bias"}
"""Other programs' words for what torch calls weight and bias."""


@dataclass(frozen=True)
class Conversion:
    """How one of a module's parameters is made of the reference's."""

    target: str
    """The module's name of it."""
    sources: tuple[str, ...]
    """The reference's names: one, or several that are put together along axis 0 of the module's."""
    steps: str
    """What is done to each, in words: "as it is", "permuted (1, 0)", "reshaped (8, 8) and permuted (1, 0)"."""
    by: str
    """What says so: "value", or "shape and order"."""
    made: Callable[[list[Tensor]], Tensor] = field(repr=False, compare=False)
    """The parameter, made of the sources' tensors."""

    def __str__(self) -> str:
        return f"{self.target} = {' + '.join(self.sources)}, {self.steps} (by {self.by})"


@dataclass(frozen=True)
class WeightMap:
    """A proposal for the conversion of a reference's parameters; as text, a line for each."""

    conversions: list[Conversion]
    missing: list[str]
    """Parameters of the module that nothing of the reference was found for."""
    unused: list[str]
    """Parameters of the reference that nothing is made of."""
    reference: Mapping[str, Tensor] = field(repr=False)

    def state_dict(self) -> dict[str, Tensor]:
        """The module's parameters, as far as they were found, for `load_state_dict(..., strict=False)`."""
        return {c.target: c.made([self.reference[source] for source in c.sources]).clone() for c in self.conversions}

    def __str__(self) -> str:
        lines = [str(conversion) for conversion in self.conversions]
        lines += [f"not found: {', '.join(self.missing)}"] if self.missing else []
        lines += [f"not used: {', '.join(self.unused)}"] if self.unused else []
        return "\n".join(lines)


def map_weights(reference: Recording | Mapping[str, Any], module: nn.Module) -> WeightMap:
    """Propose how the parameters of `module` are made of those of `reference`.

    The reference is a recording (`param/...`) or a mapping from names to arrays. A parameter may be one of the
    reference's with its axes permuted, reshaped or both, a part of one that several were fused into, or several put
    together, as queries, keys and values are. Where the module already has the reference's values, they tell; else the
    shapes do, and of several that fit the one whose name is most alike. Of a square matrix shape does not tell
    whether it is transposed: it is taken to be if those that are not square are. Raises `UsageError` if the reference
    has no parameters.
    """
    if isinstance(reference, Recording):
        theirs = reference.group("param/")
    else:
        theirs = {name: as_tensor(name, value) for name, value in reference.items()}
    if not theirs:
        raise UsageError("the reference has no parameters: give a recording with param/..., or arrays by name")
    ours = {name: tensor.detach() for name, tensor in uncompiled(module).state_dict().items()}
    search = _Search(ours, theirs)
    search.by_value()
    search.by_shape()
    return search.found()


@dataclass(frozen=True)
class _Way:
    """A way to bring a tensor into a shape."""

    words: str
    apply: Callable[[Tensor], Tensor]
    reshapes: bool = False


@dataclass(frozen=True)
class _Part:
    """A part of a reference's parameter, or the whole of it, brought into a shape."""

    source: str
    way: _Way
    count: int = 1
    number: int = 0
    axis: int = 0

    def of(self, tensor: Tensor) -> Tensor:
        return self.way.apply(tensor.chunk(self.count, self.axis)[self.number] if self.count > 1 else tensor)

    @property
    def words(self) -> str:
        part = f"part {self.number + 1} of {self.count} along axis {self.axis}, " if self.count > 1 else ""
        return part + self.way.words


class _Search:
    def __init__(self, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
        self.ours, self.theirs = ours, theirs
        self.conversions: dict[str, Conversion] = {}
        self.taken: set[tuple[str, int, int, int]] = set()
        """Parts of the reference's parameters that something is made of."""

    def found(self) -> WeightMap:
        made = [self.conversions[name] for name in self.ours if name in self.conversions]
        used = {source for conversion in made for source in conversion.sources}
        missing = [name for name in self.ours if name not in self.conversions]
        return WeightMap(made, missing, [name for name in self.theirs if name not in used], self.theirs)

    def by_value(self) -> None:
        """Whatever gives the module's very numbers: one parameter, a part of one, or several put together."""
        for target, wanted in self.ours.items():
            for count in range(1, MOST_FUSED + 1):
                if wanted.ndim == 0 or wanted.shape[0] % count:
                    continue
                parts = [self._equal(piece, whole_only=count > 1) for piece in wanted.chunk(count)]
                known = [part for part in parts if part is not None]
                if len(known) == count:
                    self._keep(target, known, "value")
                    break

    def by_shape(self) -> None:
        """What is left, the best fit first: no reshaping, then the most alike names, then the order."""
        for count in range(1, MOST_FUSED + 1):
            offers = [
                (not any(part.way.reshapes for part in parts), self._likeness(target, parts), target, parts)
                for target, wanted in self.ours.items()
                if target not in self.conversions
                for parts in self._offered(wanted, count)
            ]
            for _, _, target, parts in sorted(offers, key=lambda offer: offer[:2], reverse=True):
                if target not in self.conversions and not any(self._is_taken(part) for part in parts):
                    self._keep(target, self._turned(target, parts), "shape and order")

    def _offered(self, wanted: Tensor, count: int) -> Iterator[list[_Part]]:
        """Ways to make a parameter of `count` others in a row; for one, also of a part of it."""
        if wanted.ndim == 0 or wanted.shape[0] % count:
            return
        shape = (wanted.shape[0] // count, *wanted.shape[1:])
        by_shape: dict[tuple[int, ...], list[str]] = {}
        for source, tensor in self.theirs.items():
            by_shape.setdefault(tuple(tensor.shape), []).append(source)
        for found, names in by_shape.items():
            for way in _ways(found, shape):
                for start in range(len(names) - count + 1):
                    yield [_Part(name, way) for name in names[start : start + count]]
            if count == 1:
                yield from ([part] for source in names for part in _parts(source, found, shape))

    def _equal(self, wanted: Tensor, whole_only: bool) -> _Part | None:
        for source, tensor in self.theirs.items():
            for way in _ways(tuple(tensor.shape), tuple(wanted.shape)):
                if _same(way.apply(tensor), wanted):
                    return _Part(source, way)
        for source, tensor in {} if whole_only else self.theirs.items():
            for part in _parts(source, tuple(tensor.shape), tuple(wanted.shape)):
                if _same(part.of(tensor), wanted):
                    return part
        return None

    def _keep(self, target: str, parts: list[_Part], by: str) -> None:
        self.taken |= {(part.source, part.count, part.number, part.axis) for part in parts}
        words = ", then ".join(dict.fromkeys(part.words for part in parts))
        steps = words if len(parts) == 1 else f"put together along axis 0, each {words}"

        def made(given: list[Tensor]) -> Tensor:
            return (
                torch.cat([part.of(tensor) for part, tensor in zip(parts, given, strict=True)])
                if given[1:]
                else (parts[0].of(given[0]))
            )

        self.conversions[target] = Conversion(target, tuple(part.source for part in parts), steps, by, made)

    def _is_taken(self, part: _Part) -> bool:
        """Whether something is made of this part, or of the parameter cut in another way."""
        own = (part.source, part.count, part.number, part.axis)
        return any(own == t or (t[0] == part.source and (t[1], t[3]) != (part.count, part.axis)) for t in self.taken)

    def _likeness(self, target: str, parts: list[_Part]) -> float:
        return sum(_likeness(target, part.source) for part in parts) / len(parts)

    def _turned(self, target: str, parts: list[_Part]) -> list[_Part]:
        """The same, transposed if it is square and those that are not are transposed."""
        shape = tuple(self.ours[target].shape)
        square = len(shape) == 2 and len(parts) == 1 and parts[0].count == 1 and parts[0].way.words == AS_IT_IS
        told = [c for c in self.conversions.values() if len(set(self.ours[c.target].shape)) == 2]
        if not square or shape[0] != shape[1] or sum("permuted" in c.steps for c in told) * 2 <= len(told):
            return parts
        return [_Part(parts[0].source, next(way for way in _ways(shape, shape) if way.words != AS_IT_IS))]


AS_IT_IS = "as it is"


def _parts(source: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[_Part]:
    """Equal parts of a parameter of one shape that can be brought into another."""
    for count in range(2, MOST_FUSED + 1):
        if math.prod(shape) != count * math.prod(wanted):
            continue
        for axis in [axis for axis, size in enumerate(shape) if size % count == 0]:
            piece = (*shape[:axis], shape[axis] // count, *shape[axis + 1 :])
            for way in _ways(piece, wanted):
                yield from (_Part(source, way, count, number, axis) for number in range(count))


def _ways(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[_Way]:
    """Every way to bring a tensor of one shape into another that needs no more than a permutation and a reshaping."""
    if math.prod(shape) != math.prod(wanted):
        return
    if shape == wanted:
        yield _Way(AS_IT_IS, lambda x: x)
    if 1 < len(shape) <= MOST_AXES:
        for order in list(permutations(range(len(shape))))[1:]:
            if tuple(shape[axis] for axis in order) == wanted:
                yield _Way(f"permuted {order}", partial(torch.permute, dims=order))
    if shape != wanted:
        yield _Way(f"reshaped {wanted}", partial(torch.reshape, shape=wanted), True)
        if len(wanted) == 2 and len(shape) > 2:
            turned = (wanted[1], wanted[0])
            yield _Way(f"reshaped {turned} and permuted (1, 0)", lambda x: x.reshape(turned).T, True)


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two parameters of one shape are the same numbers; one that is constant tells nothing."""
    if not b.numel() or bool((b == b.flatten()[0]).all()):
        return False
    a, b = a.to(torch.float64), b.to(torch.float64)
    return bool(((a - b).abs() <= NEAR * b.abs().max()).all())


def _likeness(ours: str, theirs: str) -> float:
    """How alike two names are, torch's words put for those of other programs; their numbers count for as much."""
    words = [re.findall(r"[a-z]+", name.lower()) for name in (ours, theirs)]
    texts = [".".join(WORDS.get(word, word) for word in found) for found in words]
    numbers = [re.findall(r"\d+", name) for name in (ours, theirs)]
    return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in (texts, numbers))
