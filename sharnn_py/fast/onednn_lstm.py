"""oneDNN's LSTM in bfloat16, where this machine has it and its gradient is right.

Torch calls it for an `nn.LSTM` in bfloat16, whose cell state is bfloat16 too and then loses whatever is smaller than
1/256 of it at every step: a cell that keeps 0.9995 of itself never decays. Called directly it takes a float32 cell
state, and float32 biases.

In oneDNN 3.12 (torch 2.13) the gradient is wrong from H = 1024 on, silently: that of the input by more than all of its
size. Processors without bfloat16 have no such LSTM at all. So both are tried before it is used.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

LSTM_MODE = 2
"""The operation's number for an LSTM."""
ALLOWED = 0.03
"""Of the relative error of a gradient, float32 being the truth. Rounding of bfloat16 makes 0.005."""


def lstm(
    x: Tensor, h: Tensor, c: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer on (T, B, I) from h and c, (B, H): every h and the last, rounded to bfloat16, and the last c."""
    out, h_n, c_n, _ = torch.ops.aten.mkldnn_rnn_layer(
        x.bfloat16(),
        w_ih.bfloat16(),
        w_hh.bfloat16(),
        b_ih,
        b_hh,
        h.bfloat16(),
        c,
        False,  # from the first step to the last
        [],
        LSTM_MODE,
        h.shape[-1],
        1,
        True,  # biases
        False,
        False,
        True,  # to be differentiated
    )
    return out.to(x.dtype), h_n.to(x.dtype), c_n


@lru_cache
def is_right(inputs: int, width: int, batch: int) -> bool:
    """Whether this machine has the operation, and its gradients of two steps of this size are those of `nn.LSTM`."""
    draw = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        layer = nn.LSTM(inputs, width)
        x, grad = torch.randn(2, 2, batch, max(inputs, width), generator=draw)
        x, grad = x[..., :inputs].clone().requires_grad_(), grad[..., :width]
        h, c = (torch.randn(batch, width, generator=draw) for _ in "hc")
        wanted = torch.autograd.grad(layer(x, (h[None], c[None]))[0], [x, *layer.parameters()], grad)
        try:
            found = torch.autograd.grad(lstm(x, h, c, *layer.parameters())[0], [x, *layer.parameters()], grad)
        except (RuntimeError, AttributeError, TypeError):  # no primitive for this processor, or no such operation
            return False
    return all(bool((f - w).norm() <= ALLOWED * w.norm()) for f, w in zip(found, wanted, strict=True))
