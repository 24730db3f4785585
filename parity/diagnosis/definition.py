"""What diagnosis knows of one operation: its formula, and the other formulas that porting mistakes make of it.

A definition is arithmetic on tensors by role, and knows nothing of the model. The canonical formula follows from the
operation's settings; every variant says in words what it does and what the canonical formula does in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Operands:
    """What one operation computes from: tensors by role, float64 but for ids, and its settings."""

    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    """The tensors' keys in the scene, by role, for descriptions."""
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By role, the whole shape of a tensor of which `tensors` has only a window (`parity.diagnosis.window`)."""

    def __getitem__(self, role: str) -> Tensor:
        return self.tensors[role]

    def __contains__(self, role: str) -> bool:
        return role in self.tensors

    def name(self, role: str, unnamed: str = "") -> str:
        """The key of the tensor in a role, for descriptions; `unnamed`, else the role, if it has none."""
        return self.keys.get(role, unnamed or role)

    def get(self, role: str) -> Tensor | None:
        return self.tensors.get(role)

    def setting(self, name: str, default: Any) -> Any:
        return self.settings.get(name, default)

    def shape(self, role: str) -> tuple[int, ...]:
        """The whole tensor's shape."""
        return self.shapes.get(role, tuple(self.tensors[role].shape))

    def having(self, **tensors: Tensor) -> Operands:
        """These operands with other tensors for some roles."""
        return replace(self, tensors={**self.tensors, **tensors})

    def without(self, *roles: str) -> Operands:
        """These operands without some roles, as if the scene had nothing for them."""
        return replace(self, tensors={role: t for role, t in self.tensors.items() if role not in roles})

    def mapped(self, function: Callable[[Tensor], Tensor], *roles: str) -> Operands:
        """These operands with the tensors of some roles put through a function."""
        return self.having(**{role: function(self[role]) for role in roles})


@dataclass(frozen=True)
class Variant:
    """Another formula in the canonical one's place."""

    description: str
    """What it does, after "the subject": "divides the variance by n = 8"."""
    canonical_description: str
    """What the canonical formula does there, after "the reference": "by n - 1 = 7"."""
    compute: Callable[[], Tensor]
    needs_whole_tensor: bool = False
    """Whether it needs whole tensors, so that it is wrong on a window of them."""
    zeros: bool = False
    """Whether it is meant to give zeros, as many formulas do by chance."""
    unit: float = 0.0
    """For a variant in half precision, the unit of rounding within which it must reproduce a tensor, all of whose
    numbers must be representable in that precision; else 0."""


@dataclass(frozen=True)
class FittedParameter:
    """A number in a formula that is fitted to a tensor, for values that no variant lists."""

    description: str
    """What the formula does, as in `Variant.description`, with {} for the number."""
    canonical_description: str
    start: float
    """Where the fit starts: at the canonical formula's number, or near it."""
    compute: Callable[[float], Tensor]
    low: float = -math.inf
    high: float = math.inf
    """The number must be from `low` to `high`."""


def for_each(
    values: Iterable[T], description: str, canonical_description: str, compute: Callable[[T], Tensor], **flags: bool
) -> Iterator[Variant]:
    """One variant for every value, which replaces {} in the description; `flags` are fields of `Variant`."""
    for value in values:
        yield Variant(description.format(value), canonical_description, partial(compute, value), **flags)


Variants = Callable[[Operands], Iterator[Variant]]
WindowRule = Callable[[Mapping[str, Any], int], Mapping[str, int] | None]


def rowwise(*roles: str, mixes: int = 0) -> WindowRule:
    """The window rule of an operation that treats rows independently, along all axes but the last `mixes`."""
    return lambda settings, axis: None if axis >= -mixes else dict.fromkeys(roles, axis)


@dataclass(frozen=True)
class OperationDefinition:
    """One operation: how it is computed, what may be computed in its place, and what a part of it is computed from."""

    compute: Callable[[Operands], Tensor]
    """The canonical formula."""
    variants: Variants = lambda operands: iter(())
    """Every other formula worth trying, likeliest first."""
    window_rule: WindowRule = lambda settings, axis: None
    """Given the settings and an axis of the output, counted from the end: by role, the axis along which rows of the
    output need only the same rows of that input. Inputs that it does not name are needed whole. None if all are."""
    fitted_parameters: Callable[[Operands], Iterator[FittedParameter]] = lambda operands: iter(())
    """The formula's numbers that can be fitted."""
    compound_variants: Variants = lambda operands: iter(())
    """Formulas that make two mistakes at once, tried last, after what may happen to any operation."""
    scale_meaning: str = ""
    """What a wrong scale of the result means for this operation, in words; empty for nothing in particular."""
    causal: bool = False
    """Whether a row depends on the rows before it, too, so that a window must begin at the first."""
