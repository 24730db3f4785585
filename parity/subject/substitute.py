"""Going on with a recorded tensor in the place of a computed one."""

from typing import Any, cast

import torch
from torch import Tensor

from parity.recording.recording import HALF
from parity.subject.subject import RunMode
from parity.tolerance import nudge


class _Replaced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, value: Tensor) -> Tensor:
        ctx.shape = tensor.shape
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # No gradient fits a tensor of another shape; behind it, gradients have inherited that.
        return gradient if gradient.shape == ctx.shape else gradient.new_zeros(ctx.shape), None


def substitute(tensor: Tensor, recorded: Tensor | None, mode: RunMode, name: str) -> Tensor:
    """In an isolated run the recorded numbers, with the gradient going through as if they were the tensor's own.

    In a nudged run they are nudged, too, for the recording has no more digits than float32; those of half precision by
    no more than that, since random rounding shows what half precision does. A recorded tensor of another shape takes
    the place as well, so that only the layer that gives the wrong shape is wrong in isolation.
    """
    if not mode.isolated or recorded is None:
        return tensor
    recorded = recorded.float() if recorded.dtype in HALF else recorded
    # In half precision many models compute a part in float32.
    dtype = tensor.dtype if mode.dtype in HALF and tensor.is_floating_point() else mode.dtype
    value = nudge(recorded, mode.nudged, f"forced {name}").to(dtype)
    return cast(Tensor, _Replaced.apply(tensor, value)) if tensor.requires_grad else value  # type: ignore[no-untyped-call]
