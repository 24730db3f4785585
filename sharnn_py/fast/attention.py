"""The attention, without a pass over the keys for their gains, and without gradients that nobody reads.

The gains of the keys multiply the queries instead, and those of the values the result, so that neither costs a pass
over all K rows; of the keys' gradient only the new rows are computed, since a memory is detached. Of the (T, K) scores
only the attention's weights are kept for the backward pass.

Shapes: T steps, B batch, H = emb, A heads, d = H/A, K = M + T keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sharnn_py.fast.precision import Precision, operand
from sharnn_py.layers import Attention

NUMBERS = 2**21
"""Of the scores that are computed at a time."""


def attention(layer: Attention, h: Tensor, new: Tensor, keys: Tensor, precision: Precision = "float32") -> Tensor:
    """`layer(h, keys, causal mask)`, (T, B, H), its dropouts included.

    `keys` (K, B, H) are the memory, of which no gradient is taken, and then `new` (T, B, H), which gets one.
    """
    (steps, batch, width), count = h.shape, len(keys)
    q = F.linear(operand(h, precision), operand(layer.q.weight, precision)).to(h.dtype) + layer.q.bias
    q = layer.qln(q)
    noises = [
        dropout_noise(layer.dropout, shape, h) for shape in (q.shape, keys.shape, (batch, layer.heads, steps, count))
    ]
    if noises[0] is not None:
        q = q * noises[0]
    scale = steps if layer.semantics.attention_scale == "julia" else width // layer.heads
    q = q * (torch.sigmoid(layer.qs) * torch.sigmoid(layer.ks) / math.sqrt(scale))
    mixed = _Attend.apply(q, new, keys, noises[1], noises[2], layer.heads, precision)  # type: ignore[no-untyped-call]
    return cast(Tensor, mixed) * layer.value_gain()


def dropout_noise(dropout: nn.Module, shape: tuple[int, ...], like: Tensor) -> Tensor | None:
    """What `dropout` multiplies a tensor of this shape by, drawn as torch draws it; None where it does nothing."""
    if not (dropout.training and isinstance(dropout, nn.Dropout)):
        return None
    return like.new_empty(shape).bernoulli_(1 - dropout.p).div_(1 - dropout.p)


class _Attend(torch.autograd.Function):
    """softmax(q keys^T, causal) (noise * keys), of each head: (T, B, H), (T, B, H), (K, B, H) -> (T, B, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        new: Tensor,
        keys: Tensor,
        value_noise: Tensor | None,
        focus_noise: Tensor | None,
        heads: int,
        precision: Precision,
    ) -> Tensor:
        (steps, batch, width), count = q.shape, len(keys)
        v = keys if value_noise is None else keys * value_noise
        q, k, v = (operand(by_head(x, heads), precision) for x in (q, keys, v))
        future = torch.full((steps, steps), -math.inf, dtype=q.dtype).triu_(1)
        focus = new.new_empty(len(q), steps, count)  # not in bfloat16, in which a row does not add up to 1
        # In memory as the plain layer's result is, so that a dropout that follows draws the same.
        mix = torch.empty_like(new) if heads > 1 else new.new_empty(batch, steps, width).transpose(0, 1)
        for some in groups(focus.shape):
            scores = q[some] @ k[some].mT
            scores[..., count - steps :] += future
            torch.softmax(scores, -1, dtype=focus.dtype, out=focus[some])
            weights = focus[some] if focus_noise is None else focus[some] * focus_noise.flatten(0, 1)[some]
            by_head(mix, heads)[some] = weights.to(v.dtype) @ v[some]
        ctx.save_for_backward(q, k, v, focus, value_noise, focus_noise)
        ctx.heads = heads
        return mix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, focus, value_noise, focus_noise = ctx.saved_tensors
        past = focus.shape[-1] - focus.shape[-2]
        d_q, d_new = (torch.empty(grad.shape, dtype=grad.dtype) for _ in range(2))
        d_mix = by_head(grad, ctx.heads).to(q.dtype)
        for some in groups(focus.shape):
            d_focus, new_focus = (
                (d_mix[some] @ v[some].mT).to(focus.dtype),
                focus[some, :, past:],
            )  # (.., T, K), (.., T, T)
            if focus_noise is not None:
                noise = focus_noise.flatten(0, 1)[some]
                d_focus, new_focus = d_focus.mul_(noise), new_focus * noise[..., past:]
            d_scores = torch.ops.aten._softmax_backward_data(d_focus, focus[some], -1, focus.dtype).to(q.dtype)
            by_head(d_q, ctx.heads)[some] = d_scores @ k[some]
            d_v = (new_focus.mT.to(q.dtype) @ d_mix[some]).to(grad.dtype)
            if value_noise is not None:
                d_v *= by_head(value_noise[past:], ctx.heads)[some]
            by_head(d_new, ctx.heads)[some] = d_v.add_(d_scores[..., past:].mT @ q[some])
        return d_q, d_new, None, None, None, None, None


def by_head(x: Tensor, heads: int) -> Tensor:
    """(T, B, H) as (B A, T, d), a view of it where H is contiguous."""
    steps, batch, width = x.shape
    return x.reshape(steps, batch * heads, width // heads).transpose(0, 1)


def groups(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of the first axis, each of a few million numbers of a tensor of this shape."""
    size = max(1, NUMBERS // math.prod(shape[1:]))
    return (slice(start, start + size) for start in range(0, shape[0], size))
