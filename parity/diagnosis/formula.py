"""Formulas whose variants are changes of what they take and give: of options, of operands, of the result."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant

T = TypeVar("T")
Options = Mapping[str, Any]


def unchanged(x: T) -> T:
    """Return `x`."""
    return x


@dataclass(frozen=True)
class Change:
    """One way in which a formula can differ: a description, and what changes of its options, operands or result."""

    description: str
    """As in `Variant`, like the other descriptions and flags."""
    canonical_description: str
    options: Mapping[str, Any] = field(default_factory=dict)
    operands: Callable[[Operands], Operands] = unchanged
    result: Callable[[Tensor], Tensor] = unchanged
    needs_whole_tensor: bool = False
    zeros: bool = False


def on(function: Callable[[Tensor], Tensor], *roles: str) -> Callable[[Operands], Operands]:
    """The `Change.operands` that put the tensors of some roles through a function."""
    return lambda o: o.mapped(function, *roles)


def flipped(axis: int, *roles: str) -> Callable[[Operands], Operands]:
    """The `Change.operands` that reverse the tensors of some roles along an axis."""
    return on(partial(torch.flip, dims=(axis,)), *roles)


def having(**tensors: Tensor) -> Callable[[Operands], Operands]:
    """The `Change.operands` that have other tensors for some roles."""
    return lambda o: o.having(**tensors)


def without(*roles: str) -> Callable[[Operands], Operands]:
    """The `Change.operands` that leave some roles out."""
    return lambda o: o.without(*roles)


def exchange(*pairs: tuple[str, str]) -> Callable[[Operands], Operands]:
    """The `Change.operands` that put the tensors of two roles in each other's place, absent ones, too."""

    def exchanged(o: Operands) -> Operands:
        others = {**dict(pairs), **{b: a for a, b in pairs}}
        return o.without(*others).having(**{role: o[other] for role, other in others.items() if other in o})

    return exchanged


class Formula:
    """A function of operands and of options, which are its keyword arguments, each with a default.

    The canonical options are the operation's settings of these names, or the defaults. Options that the function takes
    as ** have no settings; only variants use them.
    """

    def __init__(self, compute: Callable[..., Tensor]) -> None:
        self._compute = compute
        _, *options = inspect.signature(compute).parameters.values()
        self._defaults = {option.name: option.default for option in options if option.kind != option.VAR_KEYWORD}

    def options(self, o: Operands) -> dict[str, Any]:
        """The canonical options."""
        return {name: o.settings.get(name, default) for name, default in self._defaults.items()}

    def __call__(self, o: Operands, **options: Any) -> Tensor:
        """Compute with the canonical options, except for those given."""
        return self._compute(o, **{**self.options(o), **options})

    def vary(self, o: Operands, changes: Iterable[Change]) -> Iterator[Variant]:
        """A variant for every change that changes something."""
        own = self.options(o)
        for c in changes:
            if c.operands is not unchanged or c.result is not unchanged or {**own, **c.options} != own:
                formula = partial(self._changed, o, c)
                yield Variant(c.description, c.canonical_description, formula, c.needs_whole_tensor, c.zeros)

    def _changed(self, o: Operands, c: Change) -> Tensor:
        return c.result(self(c.operands(o), **c.options))

    def fit(
        self,
        o: Operands,
        option: str,
        description: str,
        canonical_description: str,
        start: float | None = None,
        **options: Any,
    ) -> FittedParameter:
        """One of the formula's numbers, to be fitted from `start`, else its canonical value or 0.

        Other `options` may be changed as well.
        """
        start = self.options(o).get(option, 0.0) if start is None else start
        return FittedParameter(
            description, canonical_description, start, lambda number: self(o, **{**options, option: number})
        )

    def definition(
        self, changes: Callable[[Operands, Options], Iterator[Change]], **fields: Any
    ) -> OperationDefinition:
        """A definition with this formula, whose variants are `changes`; `fields` are its other fields."""
        return OperationDefinition(self, lambda o: self.vary(o, changes(o, self.options(o))), **fields)
