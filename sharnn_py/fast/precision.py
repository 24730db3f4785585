"""What the products of a training step are computed in."""

from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "bf16"]
"""`float32`: everything in the parameters' own dtype. `bf16`: the operands and results of the products in bfloat16,
summed in float32 inside; parameters, state, LayerNorm, softmax, loss and update stay as they are."""


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which a model on an accelerator computes in `precision`; on a CPU its fast blocks do, and no more.

    What a model carries on comes out in bfloat16 there, and has to be widened again.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and device.type != "cpu")


def operand(x: Tensor, precision: Precision) -> Tensor:
    """`x` as a product takes it: itself, or in bfloat16, contiguous."""
    return x.to(torch.bfloat16, memory_format=torch.contiguous_format) if precision == "bf16" else x
