"""A part of a large tensor that is enough to tell one formula from another: some rows along one axis."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from parity.diagnosis.operations import OPERATIONS
from parity.subject.scene import Scene

LARGE = 2**17
"""The number of elements above which only a window of a tensor is computed."""
ELEMENTS = 2**15
"""About how many elements a window has."""
RECURRENT = 2**13
"""About how many it has where every row takes a run over those before it."""


class Window:
    """Which rows of the target are computed, and which rows of the tensors before it they come from.

    Axes are counted from the end. The rows are those about the first error, or the first ones where an operation on
    the way is recurrent.
    """

    def __init__(self, scene: Scene, target: str) -> None:
        self.scene = scene
        self.axes: dict[str, int | None] = {}
        """By key, the axis along which it is cut; None if it is needed whole."""
        self.size = self.start = self.rows = 0
        reference, subject = scene.reference.get(target), scene.subject.get(target)
        if reference is None or subject is None or reference.shape != subject.shape or reference.numel() <= LARGE:
            return
        axis = self._axis(target, reference)
        if axis is None:
            return
        self.size = reference.shape[axis]
        causal = self._plan(target, target, axis)
        elements = RECURRENT if causal else ELEMENTS
        self.rows = min(self.size, max(1, elements * self.size // reference.numel()))
        self.start = 0 if causal else _first_error(reference, subject, axis, self.size - self.rows)

    @property
    def covers_all(self) -> bool:
        """Whether every tensor is computed whole."""
        return not self.rows

    def _axis(self, target: str, tensor: Tensor) -> int | None:
        """The longest axis along which the target's rows come from rows of its inputs."""
        axes = [axis for axis in range(-tensor.ndim, 0) if self._follows(target, axis) is not None]
        return max(axes, key=lambda axis: tensor.shape[axis], default=None)

    def _follows(self, key: str, axis: int | None) -> Mapping[str, int] | None:
        operation = self.scene.operations.get(key)
        if axis is None or operation is None or operation.name not in OPERATIONS:
            return None
        return OPERATIONS[operation.name].window_rule(operation.settings, axis)

    def _plan(self, target: str, key: str, axis: int | None) -> bool:
        """Cut `key` along `axis` and all before it accordingly; whether a recurrent operation is among them."""
        if key in self.axes:
            if self.axes[key] in (axis, None):
                return False
            axis = None  # two operations need different rows of it
        self.axes[key] = axis
        operation = self.scene.operations.get(key)
        if operation is None or operation.name not in OPERATIONS or (key != target and key in self.scene.reference):
            return False
        follows = self._follows(key, axis) or {}
        inputs = [(role, source) for role, source in operation.inputs.items() if source != key]
        below = [self._plan(target, source, follows.get(role)) for role, source in inputs]
        return any(below) or (OPERATIONS[operation.name].causal and axis is not None)

    def cut(self, key: str, tensor: Tensor) -> Tensor:
        """The rows of `key` that are in the window."""
        return self._narrow(tensor, self.axes.get(key))

    def as_input(self, key: str, role: str, tensor: Tensor) -> Tensor:
        """The rows of an input that the rows of `key` come from."""
        follows = self._follows(key, self.axes.get(key)) or {}
        return self._narrow(tensor, follows.get(role))

    def whole_shape(self, key: str, role: str, tensor: Tensor) -> tuple[int, ...]:
        """The shape that an input has outside the window."""
        shape, axis = list(tensor.shape), self.axes.get(self.scene.operations[key].inputs[role])
        if axis is not None and len(shape) >= -axis and shape[axis] == self.rows:
            shape[axis] = self.size
        return tuple(shape)

    def _narrow(self, tensor: Tensor, axis: int | None) -> Tensor:
        if self.covers_all or axis is None or tensor.ndim < -axis or tensor.shape[axis] != self.size:
            return tensor
        return tensor.narrow(axis, self.start, self.rows)


def _first_error(reference: Tensor, subject: Tensor, axis: int, last: int) -> int:
    """The first row with an eighth of the largest error, but no later than `last`."""
    others = [other for other in range(-reference.ndim, 0) if other != axis]
    far = (reference.to(torch.float64) - subject.to(torch.float64)).abs()
    far = torch.where(far.isnan(), 0.0, far)
    rows: Any = far.amax(others) if others else far
    return min(int((rows > rows.max() / 8).to(torch.int8).argmax()), last)
