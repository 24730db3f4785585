"""SHA-RNN stated plainly on torch's functions, no state objects, no notes, no switches: what the port is timed against.

It takes the port's own parameters, so that both compute the same numbers; the benchmark checks that they do.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sharnn_py import SHARNN


def paper_norm(x: Tensor, ln: torch.nn.Module) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], ln.weight, ln.bias, 1e-12)


def julia_norm(x: Tensor, ln: torch.nn.Module) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    return ln.weight * (x - mean) / (x.std(-1, keepdim=True) + 1e-12) + ln.bias


def drop(x: Tensor) -> Tensor:
    return F.dropout(x, 0.0, training=True)


def forward(model: SHARNN, tokens: Tensor, targets: Tensor, memory: Tensor) -> Tensor:
    """The loss of one segment from zero hidden states and the given memory of the block that attends."""
    julia = model.config.semantics.layer_norm == "julia"
    norm = julia_norm if julia else paper_norm
    T, B, H, A = *tokens.shape, model.config.emb, model.config.heads
    h = drop(F.embedding(tokens, model.encoder.weight))
    for block in model.blocks:
        h, _ = block.rnn(norm(h, block.lnstart))
        h = drop(h)
        if block.attn is not None:
            attn = block.attn
            keys = torch.cat([memory, norm(h, block.lnmem)])
            h = norm(h, block.lnmid)
            mask = torch.full((T, len(keys)), -math.inf).triu(len(memory) + 1)
            q = norm(F.linear(h, attn.q.weight, attn.q.bias), attn.qln) * torch.sigmoid(attn.qs)
            k = keys * torch.sigmoid(attn.ks)
            c, f = attn.overparam(torch.sigmoid(attn.vs)).chunk(2)
            v = keys * (torch.sigmoid(f) * torch.tanh(c))
            q, k, v = (x.reshape(len(x), B, A, H // A).permute(1, 2, 0, 3) for x in (drop(q), k, drop(v)))
            scores = q @ k.transpose(-1, -2) / math.sqrt(T if julia else H // A) + mask
            h = h + drop((drop(scores.softmax(-1)) @ v).permute(2, 0, 1, 3).reshape(T, B, H))
        x = F.linear(norm(h, block.lnxff), block.boom.linear.weight, block.boom.linear.bias)
        x = drop(x * torch.sigmoid(1.702 * x))
        if julia:
            chunks = x.reshape(T, B, -1, H).sum(-1)
            x = F.pad(chunks, (0, H - chunks.shape[-1]))
        else:
            x = x.reshape(T, B, -1, H).sum(-2)
        h = norm(h, block.lnff) + drop(x)
    logits = F.linear(drop(h), model.encoder.weight, getattr(model.decoder, "bias", None))
    return F.cross_entropy(logits.reshape(T * B, -1), targets.reshape(-1))
