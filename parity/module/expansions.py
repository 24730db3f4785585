"""Functions of torch that are several operations at once, written out by functions that are one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """scaled_dot_product_attention"""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scores = query.matmul(key.transpose(-2, -1))
    scores = scores / math.sqrt(query.shape[-1]) if scale is None else scores * scale
    if is_causal:
        hidden = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(hidden, -math.inf)
    elif attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(attn_mask.logical_not(), -math.inf) if is_bool else scores + attn_mask
    return scores.softmax(-1).matmul(value)


def _multi_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """multi_head_attention_forward, of (T, B, H) or (T, H). Raises `NotImplementedError` for what is seldom used."""
    if add_zero_attn or static_k is not None or static_v is not None or bias_k is not None or bias_v is not None:
        raise NotImplementedError
    batched = query.dim() == 3
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
    biases: Any = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    if use_separate_proj_weight:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))  # type: ignore[arg-type]
    elif query is key and key is value:
        q, k, v = F.linear(query, in_proj_weight, in_proj_bias).chunk(3, -1)  # type: ignore[arg-type]
    else:
        weights = in_proj_weight.chunk(3)  # type: ignore[union-attr, assignment]
        q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))  # type: ignore[arg-type]
    steps, batch, width = q.shape
    d = width // num_heads
    q = q.reshape(steps, batch, num_heads, d).permute(1, 2, 0, 3)
    k = k.reshape(k.shape[0], batch, num_heads, d).permute(1, 2, 0, 3)
    v = v.reshape(v.shape[0], batch, num_heads, d).permute(1, 2, 0, 3)
    scores = q.matmul(k.transpose(-2, -1)) / math.sqrt(d)
    scores = scores if attn_mask is None else _masked(scores, attn_mask, (batch, num_heads))
    if key_padding_mask is not None:
        hidden = key_padding_mask if batched else key_padding_mask.unsqueeze(0)
        scores = _masked(scores, hidden.reshape(batch, 1, 1, -1), (batch, num_heads))
    weights_of = scores.softmax(-1)
    mixed = weights_of.matmul(v).permute(2, 0, 1, 3).reshape(steps, batch, width)
    output = F.linear(mixed, out_proj_weight, out_proj_bias)
    shown = weights_of.mean(1) if average_attn_weights else weights_of
    if not batched:
        output, shown = output.squeeze(1), shown.squeeze(0)
    return output, (shown if need_weights else None)


def _masked(scores: Tensor, mask: Tensor, batch_and_heads: tuple[int, int]) -> Tensor:
    if mask.dim() == 3:
        mask = mask.reshape(*batch_and_heads, *mask.shape[1:])
    return scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask


def _addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    if beta != 1 or alpha != 1:
        raise NotImplementedError
    return mat1.matmul(mat2) + input


EXPANSIONS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head,
    "addmm": _addmm,
    "baddbmm": _addmm,
}
"""By the function's name. What they give is used only if it is what the function gives."""
