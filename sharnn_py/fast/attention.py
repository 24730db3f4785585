"""The attention, without a pass over the keys for their gains, and without gradients that nobody reads.

The gains of the keys multiply the queries instead, and those of the values the result, so that neither costs a pass
over all K rows; of the keys' gradient only the new rows are computed, since a memory is detached. One head of one
sequence is done at a time: its (T, K) scores fit the processor's cache, where those of the whole batch do not.

Shapes: T steps, B batch, H = emb, A heads, d = H/A, K = M + T keys.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sharnn_py.fast.boom import dropout_noise
from sharnn_py.fast.precision import Precision, operand
from sharnn_py.layers import Attention


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
        q, k = (operand(x, precision) for x in (q, keys))
        v = k if value_noise is None else operand(keys * value_noise, precision)
        future = torch.full((steps, steps), -math.inf, dtype=q.dtype).triu_(1)
        focus = new.new_empty(batch, heads, steps, count)  # not in bfloat16, in which a row does not add up to 1
        # In memory as the plain layer's result is, so that a dropout that follows draws the same.
        mix = new.new_empty(batch, steps, width).transpose(0, 1) if heads == 1 else torch.empty_like(new)
        for b, a, columns in _heads(batch, heads, width):
            scores = q[:, b, columns] @ k[:, b, columns].t()  # (T, K)
            scores[:, count - steps :] += future
            torch.softmax(scores.to(focus.dtype), -1, out=focus[b, a])
            weights = focus[b, a] if focus_noise is None else focus[b, a] * focus_noise[b, a]
            mix[:, b, columns] = weights.to(v.dtype) @ v[:, b, columns]
        ctx.save_for_backward(q, k, v, focus, value_noise, focus_noise)
        return mix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, focus, value_noise, focus_noise = ctx.saved_tensors
        batch, heads, steps, count = focus.shape
        d_q, d_new = torch.empty_like(grad), torch.empty_like(grad)
        d_mix = grad.to(q.dtype)
        past = count - steps
        for b, a, columns in _heads(batch, heads, grad.shape[-1]):
            p, arriving = focus[b, a], d_mix[:, b, columns]
            noise = None if focus_noise is None else focus_noise[b, a]
            d_p = (arriving @ v[:, b, columns].t()).to(grad.dtype)  # (T, K)
            weights = p[:, past:]
            if noise is not None:
                d_p.mul_(noise)
                weights = weights * noise[:, past:]
            d_scores = d_p.sub_((d_p * p).sum(-1, keepdim=True)).mul_(p).to(q.dtype)
            d_q[:, b, columns] = d_scores @ k[:, b, columns]
            d_v = (weights.t().to(q.dtype) @ arriving).to(grad.dtype)  # (T, d), of the new rows
            if value_noise is not None:
                d_v.mul_(value_noise[past:, b, columns])
            torch.add(d_v, d_scores[:, past:].t() @ q[:, b, columns], out=d_new[:, b, columns])
        return d_q, d_new, None, None, None, None, None


def _heads(batch: int, heads: int, width: int) -> list[tuple[int, int, slice]]:
    """Every sequence and head, with the head's features."""
    size = width // heads
    return [(b, a, slice(a * size, (a + 1) * size)) for b in range(batch) for a in range(heads)]
