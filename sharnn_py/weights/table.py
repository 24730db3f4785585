"""Translating tensors between the port and another program by a flat table of names.

"Ours" is the port's, "theirs" the other program's. A table row is (their name, our names, layout). Rows of a block have
names without `blocks.` and the block's number, which is counted from each program's own first index.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sharnn_py.errors import WeightsError


@dataclass(frozen=True)
class Layout:
    """How one of their tensors becomes ours, and back. Both directions only move numbers, so they are exact."""

    to_ours: Callable[[Tensor, list[tuple[int, ...]]], list[Tensor]]
    """A function from their tensor and the shapes of our tensors to our tensors."""
    to_theirs: Callable[[list[Tensor]], Tensor]
    """A function from our tensors to their tensor."""


Row = tuple[str, tuple[str, ...], Layout]

SAME = Layout(lambda theirs, shapes: [theirs], lambda ours: ours[0])
TRANSPOSED = Layout(lambda theirs, shapes: [theirs.mT], lambda ours: ours[0].mT)


def leading_ones(count: int) -> Layout:
    """The layout of a tensor that is (H,) in ours and has `count` leading axes of size 1 in theirs."""
    return Layout(
        lambda theirs, shapes: [theirs.reshape(shapes[0])],
        lambda ours: ours[0].reshape((1,) * count + tuple(ours[0].shape)),
    )


def block_rows(rows: Iterable[Row], ours: int, theirs: int) -> list[Row]:
    """The rows of one block, which is number `ours` in the port and number `theirs` in the other program."""
    return [
        (f"blocks.{theirs}.{there}", tuple(f"blocks.{ours}.{name}" for name in here), layout)
        for there, here, layout in rows
    ]


def to_ours(
    theirs: Mapping[str, Tensor], rows: list[Row], shapes: Mapping[str, tuple[int, ...]], program: str
) -> dict[str, Tensor]:
    """Our tensors from theirs. Raises `WeightsError` naming every missing, surplus or wrongly shaped tensor."""
    expected = {there: _their_shape(here, layout, shapes) for there, here, layout in rows}
    check_names_and_shapes({name: tuple(t.shape) for name, t in theirs.items()}, expected, program)
    ours: dict[str, Tensor] = {}
    for there, here, layout in rows:
        pieces = layout.to_ours(theirs[there], [shapes[name] for name in here])
        ours.update({name: piece.contiguous() for name, piece in zip(here, pieces, strict=True)})
    return ours


def to_theirs(ours: Mapping[str, Tensor], rows: list[Row]) -> dict[str, Tensor]:
    """Their tensors, by their names, from ours."""
    return {there: layout.to_theirs([ours[name] for name in here]).contiguous() for there, here, layout in rows}


def _their_shape(here: tuple[str, ...], layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(layout.to_theirs([torch.empty(shapes[name], device="meta") for name in here]).shape)


def check_names_and_shapes(
    given: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], what: str
) -> None:
    """Raise `WeightsError` naming `what` and every fault, unless both hold the same names with the same shapes."""
    faults = [f"{name} is missing, expected with shape {expected[name]}" for name in expected if name not in given]
    faults += [f"{name} {given[name]} is not a tensor of this model" for name in given if name not in expected]
    faults += [
        f"{name} has shape {given[name]}, expected {expected[name]}"
        for name in expected
        if name in given and tuple(given[name]) != tuple(expected[name])
    ]
    if faults:
        raise WeightsError(f"{what}: " + "; ".join(faults))
