"""The Boom layer, its (T, B, F) tensor, the largest of the model, read and written as seldom as possible.

x sigmoid(a x) is silu(a x) / a, and for SiLU torch has kernels that pass over their input once, forward and backward,
where the sigmoid and the products take three passes and six. a is multiplied into the weights, and 1 / a into the
folded output.

Shapes: H = emb, F = hidden, C = F // H chunks.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from sharnn_py.fast.precision import Precision, operand
from sharnn_py.layers import Boom

SLOPE = 1.702
"""Of `sharnn_py.layers.gelu`."""


def boom(layer: Boom, x: Tensor, precision: Precision = "float32") -> Tensor:
    """`layer(x)`, (..., H) -> (..., H), its dropout included."""
    weight, bias = (SLOPE * parameter for parameter in (layer.linear.weight, layer.linear.bias))
    steep = F.linear(*(operand(t, precision) for t in (x, weight, bias)))  # (..., F)
    y: Tensor = layer.dropout(F.silu(steep))
    count = y.shape[-1] // layer.emb
    chunks = y[..., : count * layer.emb].reshape(*x.shape[:-1], count, layer.emb)  # (..., C, H)
    folded = chunks.sum(-2 if layer.program == "paper" else -1, dtype=x.dtype) / SLOPE
    return folded if layer.program == "paper" else F.pad(folded, (0, layer.emb - count))
