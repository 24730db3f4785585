"""Going on with a recorded tensor in the place of a computed one."""

from typing import Any, cast

import torch
from torch import Tensor

from parity.subject.subject import RunMode
from parity.tolerance import nudge


class _Replaced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def substitute(tensor: Tensor, recorded: Tensor | None, mode: RunMode, name: str) -> Tensor:
    """In a forced run the recorded numbers, with the gradient going through as if they were the tensor's own.

    In a nudged run they are nudged, too, for the recording has no more digits than float32. Numbers that are not there
    or of another shape cannot take a tensor's place; it stays.
    """
    if not mode.isolated or recorded is None or recorded.shape != tensor.shape:
        return tensor
    value = nudge(recorded.to(mode.dtype), mode.nudged, f"forced {name}")
    return cast(Tensor, _Replaced.apply(tensor, value)) if tensor.requires_grad else value  # type: ignore[no-untyped-call]
