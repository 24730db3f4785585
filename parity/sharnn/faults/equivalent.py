"""Equivalent rewrites: changes of the port that compute the same in another way, and are no faults.

In exact arithmetic they change nothing; in float32 they round otherwise, as another program's kernels would. What is
recorded with them must raise no alarm.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby

from parity.sharnn.faults.plant import Edit

BLOCK, ATTENTION = "sharnn_py.model:Block.forward", "sharnn_py.layers:Attention.forward"
NORM, FOLD = "sharnn_py.layers:LayerNorm.forward", "sharnn_py.layers:Boom.fold"
LSTM = "h, (h_n, c_n) = self.rnn(h, (state.h[None], state.c[None]))"

BY_SEQUENCE = """starts = zip(h.unbind(1), state.h, state.c)
    each = [self.rnn(x[:, None], (h0[None, None], c0[None, None])) for x, h0, c0 in starts]
    h, h_n, c_n = (torch.cat(part, 1) for part in zip(*[(x, h1, c1) for x, (h1, c1) in each]))"""

CELL_BY_CELL = """w_ih, w_hh, b_ih, b_hh = self.rnn.parameters()
    rows, h_n, c_n = [], state.h, state.c
    for x in h:
        i, f, g, o = (F.linear(x, w_ih) + F.linear(h_n, w_hh) + (b_ih + b_hh)).chunk(4, -1)
        c_n = f.sigmoid() * c_n + i.sigmoid() * g.tanh()
        h_n = o.sigmoid() * c_n.tanh()
        rows.append(h_n)
    h, h_n, c_n = torch.stack(rows), h_n[None], c_n[None]"""

SOFTMAX = """weights = (scores - scores.amax(-1, keepdim=True).detach()).exp()
    focus = note("focus", weights / weights.sum(-1, keepdim=True))"""

PAPER_NORM = """centred = x - x.mean(-1, keepdim=True)
        root = (centred.square().mean(-1, keepdim=True) + EPS).rsqrt()
        return centred * (self.weight * root) + self.bias"""

LOSS = """rest = logits - logits.amax(-1, keepdim=True).detach()
    return (rest.exp().sum(-1).log() - rest.gather(-1, targets.long()[..., None])[..., 0]).mean()"""

# Several of one function stand side by side, and are alternatives.
EQUIVALENT = [
    Edit(NORM, "return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)", PAPER_NORM),
    Edit(NORM, "self.weight * (centred / (std + EPS))", "centred * (self.weight / (std + EPS))"),
    Edit(NORM, "x - x.mean(-1, keepdim=True)", "x - x.flip(-1).sum(-1, keepdim=True) / x.shape[-1]"),
    Edit(BLOCK, LSTM, BY_SEQUENCE),
    Edit(BLOCK, LSTM, CELL_BY_CELL),
    Edit("sharnn_py.layers:gelu", "x * torch.sigmoid(1.702 * x)", "x / (1 + torch.exp(-1.702 * x))"),
    Edit("sharnn_py.layers:gelu", "x * torch.sigmoid(1.702 * x)", "0.5 * x * (1 + torch.tanh(0.851 * x))"),
    Edit(FOLD, "chunks.sum(-1)", "chunks @ chunks.new_ones(self.emb)"),
    Edit(FOLD, "chunks.sum(-2)", "chunks.flip(-2).cumsum(-2)[..., -1, :]"),
    Edit(
        "sharnn_py.layers:Boom.forward",
        "self.linear(x)", "F.linear(x.flip(-1), self.linear.weight.flip(-1)) + self.linear.bias",
    ),
    Edit(ATTENTION, "qk / math.sqrt(scale)", "qk * (1 / math.sqrt(scale))"),
    Edit(ATTENTION, "self.q(h)", "F.linear(h.flip(-1), self.q.weight.flip(-1)) + self.q.bias"),
    Edit(ATTENTION, "q @ k.transpose(-1, -2)", '(q.flip(-1)[..., None, :] * k.flip(-1)[..., None, :, :]).sum(-1)'),
    Edit(ATTENTION, 'focus = note("focus", scores.softmax(-1))', SOFTMAX),
    Edit(ATTENTION, "self.dropout(focus) @ v", "self.dropout(focus).flip(-1) @ v.flip(-2)"),
    Edit(
        "sharnn_py.layers:Attention.value_gain",
        "self.overparam(gate)", "self.overparam.weight @ gate + self.overparam.bias",
    ),
    Edit(
        "sharnn_py.model:TiedDecoder.forward",
        "F.linear(h, embedding, self.bias)",
        "F.linear(h.flip(-1), embedding.flip(-1)) + (0 if self.bias is None else self.bias)",
    ),
    Edit(
        "sharnn_py.model:SHARNN.forward",
        "else self.decoder(h)", "else F.linear(h.flip(-1), self.decoder.weight.flip(-1)) + self.decoder.bias",
    ),
    Edit(
        "sharnn_py.model:nll",
        "return F.cross_entropy(logits.flatten(0, 1), targets.flatten().long(), ignore_index=-1)", LOSS,
    ),
    Edit(
        "sharnn_py.lamb:joint_norm",
        "torch.linalg.vector_norm(norms)", "torch.cat([t.flatten() for t in tensors]).square().sum().sqrt()",
    ),
    Edit("sharnn_py.lamb:MinTrustLAMB._update", "m.mul_(beta1).add_(g, alpha=1 - beta1)", "m.lerp_(g, 1 - beta1)"),
    Edit(
        "sharnn_py.lamb:MinTrustLAMB._update",
        'step * (group["lr"] * factor * trust)', 'step * trust * group["lr"] * factor',
    ),
]  # fmt: skip


def other_way(draw: random.Random) -> Iterator[Edit]:
    """Of every function that has another way, half of the time one of them."""
    for _, alternatives in groupby(EQUIVALENT, lambda edit: edit.where):
        if draw.random() < 0.5:
            yield draw.choice(list(alternatives))
