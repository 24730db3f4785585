"""The Boom layer, in blocks of rows that fit the processor's cache between its two products.

Plainly written, the layer and its backward pass go over the (T, B, F) tensor, the largest of the model, a dozen times,
each time through main memory.

Shapes: N rows (T B of them), H = emb, F = hidden, C = F // H chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sharnn_py.config import Program
from sharnn_py.fast.precision import Precision, operand
from sharnn_py.layers import Boom

NUMBERS = 2**17
"""Of one block: half a megabyte of float32."""


def boom(layer: Boom, x: Tensor, precision: Precision = "float32") -> Tensor:
    """`layer(x)`, (..., H) -> (..., H), its dropout included."""
    noise = dropout_noise(layer.dropout, (*x.shape[:-1], layer.linear.out_features), x)
    linear = layer.linear
    out = _Boom.apply(x, linear.weight, linear.bias, noise, layer.program, precision)  # type: ignore[no-untyped-call]
    return cast(Tensor, out)


def dropout_noise(dropout: torch.nn.Module, shape: tuple[int, ...], like: Tensor) -> Tensor | None:
    """What `dropout` multiplies a tensor of this shape by, drawn as torch draws it; None where it does nothing."""
    if not (dropout.training and isinstance(dropout, torch.nn.Dropout) and dropout.p):
        return None
    return torch.empty(shape, dtype=like.dtype).bernoulli_(1 - dropout.p).div_(1 - dropout.p)


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices that together are all rows."""
    size = max(1, NUMBERS // width)
    return (slice(start, start + size) for start in range(0, rows, size))


class _Boom(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, noise: Tensor | None, program: Program, precision: Precision
    ) -> Tensor:
        emb = x.shape[-1]
        count = len(weight) // emb
        used = count * emb  # what is left over reaches no output
        w, b = operand(weight[:used], precision), bias[:used]
        inputs = operand(x.reshape(-1, emb), precision)
        before = inputs @ w.t()  # (N, F), the bias still to come
        noise = None if noise is None else noise.view(len(inputs), -1)[:, :used]
        out = x.new_empty(len(inputs), emb)
        if program == "julia":
            out[:, count:] = 0
        for rows in blocks(len(inputs), used):
            y = before[rows] + b
            y.mul_(torch.sigmoid(1.702 * y))
            if noise is not None:
                y.mul_(noise[rows])
            chunks = y.view(-1, count, emb)
            if program == "paper":
                torch.sum(chunks, 1, out=out[rows])
            else:
                torch.sum(chunks, 2, out=out[rows, :count])
        ctx.save_for_backward(inputs, before, weight, bias, noise)
        ctx.program = program
        return out.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, before, weight, bias, noise = ctx.saved_tensors
        emb, used = inputs.shape[-1], before.shape[-1]
        w, b, count = weight[:used].to(before.dtype), bias[:used], used // emb
        arriving = grad.reshape(-1, emb)
        d_before, d_bias = torch.empty_like(before), torch.zeros_like(bias)
        for rows in blocks(len(inputs), used):
            y = before[rows] + b
            gate = torch.sigmoid(1.702 * y)
            # The derivative of y s(1.702 y) is s + 1.702 y s (1 - s).
            d = y.mul_(1 - gate).mul_(1.702).add_(1).mul_(gate)
            if noise is not None:
                d.mul_(noise[rows])
            chunks = d.view(-1, count, emb)
            chunks.mul_(arriving[rows, None, :] if ctx.program == "paper" else arriving[rows, :count, None])
            d_bias[:used] += d.sum(0)
            d_before[rows] = d
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        dx = (d_before @ w).to(grad.dtype).view(grad.shape) if needs_x else None
        d_weight = None
        if needs_weight:
            d_weight = (d_before.t() @ inputs).to(weight.dtype)
            d_weight = F.pad(d_weight, (0, 0, 0, len(weight) - used))
        return dx, d_weight, d_bias if needs_bias else None, None, None, None
