"""The layers of a SHA-RNN block: LayerNorm, Boom, attention.

The two public programs compute different things under these names. Every place where they differ is a comparison with
a switch of `Semantics`, and docs/semantics.md describes the rows.

Shapes: T steps, B batch, H = emb, F = hidden, A heads, d = H/A, K = M + T keys.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharnn_py.config import Config, Program
from sharnn_py.trace import Pass, silent

EPS = 1e-12  # of every LayerNorm, in both programs


def gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), the sigmoid form of Hendrycks and Gimpel's GELU; the same in both programs."""
    return x * torch.sigmoid(1.702 * x)


def dropout(rate: float) -> nn.Module:
    """A dropout layer; for rate 0 an identity, which costs half as much to call."""
    return nn.Dropout(rate) if rate else nn.Identity()


def causal_mask(memory: int, steps: int, like: Tensor) -> Tensor:
    """Additive mask (T, M + T): 0 for all memory rows and for the past, -inf for the future; of `like`'s dtype."""
    mask = torch.full((steps, memory + steps), float("-inf"), dtype=like.dtype, device=like.device)
    return mask.triu_(diagonal=memory + 1)


class LayerNorm(nn.Module):
    """LayerNorm over the last axis (row 1). On a constant row both programs give `bias`; julia's gradient is NaN."""

    def __init__(self, width: int, program: Program) -> None:
        super().__init__()
        self.program = program
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        if self.program == "paper":
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)
        centred = x - x.mean(-1, keepdim=True)
        # Not Tensor.std, whose gradient on a constant row is defined as 0. Julia's is 0/0, NaN, and so is this one's.
        std = (centred.square().sum(-1, keepdim=True) / (x.shape[-1] - 1)).sqrt()
        return self.weight * (centred / (std + EPS)) + self.bias


class Boom(nn.Module):
    """H -> F -> H, where F -> H has no weights: it sums chunks of H features (row 2)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.emb = config.emb
        self.program = config.semantics.boom
        self.linear = nn.Linear(config.emb, config.hidden)
        self.dropout = dropout(config.dropout_hidden)

    def forward(self, x: Tensor, note: Pass = silent) -> Tensor:
        x = note("boom_linear", self.linear(x))  # (T, B, F)
        x = note("boom_gelu", gelu(x))
        return note("boom", self.fold(self.dropout(x)))  # (T, B, H)

    def fold(self, x: Tensor) -> Tensor:
        """Sum the chunks of H features of the last axis, (..., F) -> (..., H)."""
        count = x.shape[-1] // self.emb
        chunks = x[..., : count * self.emb].reshape(*x.shape[:-1], count, self.emb)  # (..., F/H, H)
        if self.program == "paper":
            return chunks.sum(-2)  # (..., H)
        return F.pad(chunks.sum(-1), (0, self.emb - count))  # (..., F/H) -> (..., H)


class Attention(nn.Module):
    """Attention of the hidden states over the memory: keys and values are memory rows, each times a learned gain."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        H = config.emb
        self.heads = config.heads
        self.semantics = config.semantics
        self.q = nn.Linear(H, H)
        self.qln = LayerNorm(H, config.semantics.layer_norm)
        self.qs = nn.Parameter(torch.zeros(H))
        self.ks = nn.Parameter(torch.zeros(H))
        self.vs = nn.Parameter(torch.zeros(H))
        self.overparam = None if config.collapsed_values else nn.Linear(H, 2 * H)
        self.dropout = dropout(config.dropout_hidden if self.semantics.attention_dropout == "paper" else 0.0)

    def value_gain(self, note: Pass = silent) -> Tensor:
        """The gain of the values, (H,): sigmoid(f) * tanh(c) with (c, f) = W sigmoid(vs) + b, from parameters alone."""
        if self.overparam is None:
            return self.vs
        gate = note("vs", torch.sigmoid(self.vs))
        c, f = note("overparam_linear", self.overparam(gate)).chunk(2)  # (2H,)
        return note("overparam", torch.sigmoid(f) * torch.tanh(c))

    def split(self, x: Tensor) -> Tensor:
        """Split the features into heads, (T, B, H) -> (B, A, T, d)."""
        steps, batch, width = x.shape
        return x.reshape(steps, batch, self.heads, width // self.heads).permute(1, 2, 0, 3)

    def forward(self, h: Tensor, keys: Tensor, mask: Tensor, note: Pass = silent) -> Tensor:
        qs, ks = note("qs", torch.sigmoid(self.qs)), note("ks", torch.sigmoid(self.ks))
        gain = self.value_gain(note)
        q = note("q_linear", self.q(h))  # (T, B, H)
        q = note("q_ln", self.qln(q))
        q, k, v = note("q", qs * q), note("k", ks * keys), note("v", gain * keys)
        q, v = self.dropout(q), self.dropout(v)
        q, k, v = self.split(q), self.split(k), self.split(v)  # (B, A, T, d), (B, A, K, d) twice

        qk = note("qk", q @ k.transpose(-1, -2))  # (B, A, T, K)
        scale = q.shape[-2] if self.semantics.attention_scale == "julia" else q.shape[-1]
        scores = note("scores", qk / math.sqrt(scale))
        scores = note("masked_scores", scores + mask)
        focus = note("focus", scores.softmax(-1))
        mix = note("mix_heads", self.dropout(focus) @ v)  # (B, A, T, d)
        return note("mix", mix.permute(2, 0, 1, 3).flatten(-2))  # (T, B, H)
