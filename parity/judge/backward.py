"""Finding where a gradient goes wrong, from the forward pass alone.

Recorded gradients of parameters show that some backward path is wrong, not where. But the forward pass has been
compared with the reference layer by layer, and its derivative can be had without any backward code: by differences.
So each layer is cut out at the tensors around it, and what autograd says of it is compared with what the layer does
when its inputs move:

    <g, (f(x + e v) - f(x - e v)) / 2e>  =  <f'(x)^T g, v>        for random g and v, in float64

With e = 1e-6 of an input's size the two sides of a correct layer part by less than 1e-8 of the terms they are sums of,
or 1e-6 where a LayerNorm divides by little; a gradient that is cut off or scaled is off by its own size. Where a
LayerNorm divides by next to nothing (a row of a gate that is shut), that step is no small one, and the difference no
derivative; so what is off must be off by smaller steps too, whose rounding is still far below the tolerance.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from parity.subject.gradient_probe import GradientProbe
from parity.tolerance import LOWEST

STEPS = (1e-6, 1e-8, 1e-10)
"""Of an input's size: the smaller ones for what is off by the larger."""
Numbers = tuple[float, float, float]
"""What autograd says, what differences say, and how far the two may part."""
TOLERANCE = 1e-4
"""Of the size of the terms that are added up."""


@dataclass(frozen=True)
class BackwardFault:
    """A derivative that is wrong: of the tensor `to` by one of those it is computed from."""

    to: str
    source: str
    """The input, an intermediate or a parameter."""
    found: float
    """<f'(x)^T g, v> by autograd."""
    expected: float
    """The same by differences."""
    tolerance: float
    factor: float | None
    """found / expected, if that is the same along another random direction: then the gradient is scaled as a whole."""

    @property
    def description(self) -> str:
        """In words."""
        between = f"{self.to} back to {self.source}"
        way, back = f"gradient from {between}", f"gradient goes from {between}"
        if self.found == 0:
            return f"no {back}, though the one is computed from the other: it is detached on the way"
        if self.expected == 0:
            return f"a {back}, though the one does not depend on the other"
        if self.factor is None:
            return f"the {way} is not the derivative of how {self.to} is computed"
        return f"the {way} is {self.factor:.6g} times as large as it should be"


def backward_faults(gradient_probe: GradientProbe) -> list[BackwardFault]:
    """Every wrong derivative in the backward path of a segment, in order from the loss to its beginning."""
    search = _Search(gradient_probe, "")
    off = search.off()
    if not off:
        return []
    sources = [*search.leaves, *gradient_probe.parameters]
    by_source = {source: search.off(source, among=off) for source in sources}
    other = _Search(gradient_probe, "another direction ")
    found = []
    for to in reversed(off):
        wrong: dict[str | None, Numbers] = {source: ways[to] for source, ways in by_source.items() if to in ways}
        wrong = wrong or {None: off[to]}
        for source, numbers in wrong.items():
            again = other.off(source, among=[to]).get(to)
            shown = "its inputs" if source is None else gradient_probe.shown(source)
            fault = BackwardFault(gradient_probe.shown(to), shown, *numbers, _factor(numbers, again))
            found.append(fault)
    return found


def _factor(one: Numbers, other: Numbers | None) -> float | None:
    if other is None or not one[1] or not other[1]:
        return None
    ratio = one[0] / one[1]
    return ratio if math.isclose(ratio, other[0] / other[1], rel_tol=1e-3) else None


class _Search:
    def __init__(self, gradient_probe: GradientProbe, direction: str) -> None:
        """`direction` is what the random directions are drawn from, besides names."""
        self.direction = direction
        self.gradient_probe, self.substitute = gradient_probe, gradient_probe.substitute
        self.leaves: dict[str, Tensor] = {}
        self.pieces: dict[str, Tensor] = {}
        loss = gradient_probe.run(self._cut)
        self.pieces["loss"] = loss
        inputs = {**self.leaves, **gradient_probe.parameters}
        self.moves = {name: _random(self.direction + name, tensor) * _size(tensor) for name, tensor in inputs.items()}
        self.analytic = {name: self._products(name, piece, inputs) for name, piece in self.pieces.items()}
        self.pieces = {name: piece.detach() for name, piece in self.pieces.items()}

    def _cut(self, name: str, tensor: Tensor) -> Tensor:
        self.pieces[name] = tensor
        value = self.substitute(name, tensor).detach()
        if not tensor.is_floating_point() or not tensor.detach().isfinite().all() or _is_mask(value):
            return tensor  # a mask, or what was masked: no place to cut at
        leaf = value.clone().requires_grad_()
        self.leaves[name] = leaf
        return leaf

    def _products(self, name: str, piece: Tensor, inputs: dict[str, Tensor]) -> dict[str, float]:
        """<f'(x)^T g, v> for each input alone; inputs that the piece's graph does not reach are absent."""
        if not piece.requires_grad:
            return {}
        gradients = torch.autograd.grad(
            piece, list(inputs.values()), _weights(self.direction + name, piece), retain_graph=True, allow_unused=True
        )
        return {
            source: float((gradient * self.moves[source]).sum())
            for source, gradient in zip(inputs, gradients, strict=True)
            if gradient is not None
        }

    def _moved(self, step: float, source: str | None) -> dict[str, Tensor]:
        """Every piece with all inputs moved, or `source` alone."""
        pieces: dict[str, Tensor] = {}

        def moved(name: str, tensor: Tensor) -> Tensor:
            return tensor + step * self.moves[name] if name in self.moves and source in (None, name) else tensor

        def note(name: str, tensor: Tensor) -> Tensor:
            pieces[name] = tensor
            return moved(name, self.leaves[name].detach()) if name in self.leaves else tensor

        kept = {name: parameter.detach().clone() for name, parameter in self.gradient_probe.parameters.items()}
        try:
            with torch.no_grad():
                for name, parameter in self.gradient_probe.parameters.items():
                    parameter.copy_(moved(name, kept[name]))
                pieces["loss"] = self.gradient_probe.run(note)
        finally:
            with torch.no_grad():
                for name, parameter in self.gradient_probe.parameters.items():
                    parameter.copy_(kept[name])
        return pieces

    def off(self, source: str | None = None, among: Iterable[str] | None = None) -> dict[str, Numbers]:
        """Pieces where autograd and differences part, whatever the step: autograd's number, the other one, and the
        tolerance.
        """
        off = self._off_by(STEPS[0], source, among or self.pieces)
        for step in STEPS[1:]:
            if off:
                closer = self._off_by(step, source, off)
                off = {name: _settled(off[name], closer[name]) for name in off if name in closer}
        return off

    def _off_by(self, step: float, source: str | None, among: Iterable[str]) -> dict[str, Numbers]:
        up, down = self._moved(step, source), self._moved(-step, source)
        off = {}
        for name in among:
            weights = _weights(self.direction + name, self.pieces[name])
            terms = torch.where(weights != 0, weights * (up[name] - down[name]) / (2 * step), 0.0)
            products = self.analytic[name]
            found = sum(products.values()) if source is None else products.get(source, 0.0)
            expected = float(terms.sum())
            size = float(terms.abs().sum()) + sum(abs(p) for p in products.values())
            if abs(found - expected) > TOLERANCE * size:
                off[name] = (found, expected, TOLERANCE * size)
        return off


def _settled(numbers: Numbers, closer: Numbers) -> Numbers:
    """The numbers of the larger step, which are rounded least, unless that step was too large for a derivative."""
    return numbers if abs(numbers[1] - closer[1]) <= closer[2] else closer


def _is_mask(tensor: Tensor) -> bool:
    return tensor.numel() > 0 and float(tensor.min()) in LOWEST


def _random(name: str, like: Tensor) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _weights(name: str, piece: Tensor) -> Tensor:
    """g: random, and 0 where a mask has put infinities, which do not move."""
    return torch.where(piece.detach().isfinite(), _random(f"g {name}", piece), 0.0)


def _size(tensor: Tensor) -> float:
    """What an input is moved by: in proportion to its numbers, and not by nothing where they are all zero."""
    return float(tensor.detach().abs().max()) or 1.0 if tensor.numel() else 1.0
