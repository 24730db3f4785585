"""SHA-RNN stated plainly in torch, no state objects, no notes, no checks: what the port is timed against.

It takes the port's own parameters, so that both compute the same numbers; the benchmark checks that they do.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharnn_py import SHARNN
from sharnn_py.layers import LayerNorm


class JuliaNorm(nn.Module):
    """SHA-RNN.jl's LayerNorm, with the parameters of another."""

    def __init__(self, like: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = like.weight, like.bias

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        return self.weight * (x - mean) / (x.std(-1, keepdim=True) + 1e-12) + self.bias


def norms(model: SHARNN) -> dict[nn.Module, nn.Module]:
    """For every LayerNorm of the port a plain one with its parameters: torch's own, or Julia's formula."""
    found: dict[nn.Module, nn.Module] = {}
    for layer in model.modules():
        if isinstance(layer, LayerNorm):
            plain = nn.LayerNorm(layer.weight.shape[0], eps=1e-12)
            plain.weight, plain.bias = layer.weight, layer.bias
            found[layer] = plain if layer.program == "paper" else JuliaNorm(layer)
    return found


drop = nn.Dropout(0.0)


def forward(model: SHARNN, norm: dict[nn.Module, nn.Module], tokens: Tensor, targets: Tensor, memory: Tensor) -> Tensor:
    """The loss of one segment from zero hidden states and the given memory of the block that attends."""
    julia = model.config.semantics.layer_norm == "julia"
    T, B, H, A = *tokens.shape, model.config.emb, model.config.heads
    h = drop(F.embedding(tokens, model.encoder.weight))
    for block in model.blocks:
        h, _ = block.rnn(norm[block.lnstart](h))
        h = drop(h)
        if block.attn is not None:
            attn = block.attn
            keys = torch.cat([memory, norm[block.lnmem](h)])
            h = norm[block.lnmid](h)
            mask = torch.full((T, len(keys)), -math.inf).triu(len(memory) + 1)
            q = norm[attn.qln](attn.q(h)) * torch.sigmoid(attn.qs)
            k = keys * torch.sigmoid(attn.ks)
            c, f = attn.overparam(torch.sigmoid(attn.vs)).chunk(2)
            v = keys * (torch.sigmoid(f) * torch.tanh(c))
            q, k, v = (x.reshape(len(x), B, A, H // A).permute(1, 2, 0, 3) for x in (drop(q), k, drop(v)))
            scores = q @ k.transpose(-1, -2) / math.sqrt(T if julia else H // A) + mask
            h = h + drop((drop(scores.softmax(-1)) @ v).permute(2, 0, 1, 3).reshape(T, B, H))
        x = block.boom.linear(norm[block.lnxff](h))
        x = drop(x * torch.sigmoid(1.702 * x))
        if julia:
            chunks = x.reshape(T, B, -1, H).sum(-1)
            x = F.pad(chunks, (0, H - chunks.shape[-1]))
        else:
            x = x.reshape(T, B, -1, H).sum(-2)
        h = norm[block.lnff](h) + drop(x)
    logits = F.linear(drop(h), model.encoder.weight, getattr(model.decoder, "bias", None))
    return F.cross_entropy(logits.reshape(T * B, -1), targets.reshape(-1))
