"""The LSTM: torch's, oneDNN's in bfloat16, or with bfloat16 products and a backward pass of its own.

In the last, only what depends on the previous step is computed step by step: one product and a few passes over a
(B, 4H) block that fits the processor's cache. The input's product is one over all T steps, and so are in the backward
pass the products that make the weights' gradients.

Gates are kept in the order output, input, forget, candidate (torch has input, forget, candidate, output): the three
sigmoids are neighbours, and so are the three gates that the cell's gradient reaches.

Shapes: T steps, B batch, I width of the input, H of the state.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sharnn_py.fast import onednn_lstm
from sharnn_py.fast.precision import Precision, operand

OURS = (3, 0, 1, 2)
"""Torch's gates in the order kept here."""
TORCHS = (1, 2, 3, 0)
"""The gates kept here in torch's order."""


def reordered(gates: Tensor, order: tuple[int, ...]) -> Tensor:
    """The four blocks of the first axis in another order, copied."""
    blocks = gates.chunk(4)
    return torch.cat([blocks[i] for i in order])


def lstm(
    module: nn.LSTM, x: Tensor, state: tuple[Tensor, Tensor], precision: Precision
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """`module(x, state)`, (T, B, I) and (L, B, H) twice -> (T, B, H) and (L, B, H) twice.

    In `float32` torch's own, which is as fast as its products are. In `bf16` each layer is oneDNN's where that is
    right, and else the one of this file; `module` has one direction, biases and no projections.
    """
    if precision == "float32":
        found: tuple[Tensor, tuple[Tensor, Tensor]] = module(x, state)
        return found
    last = []
    for number, (weights, h, c) in enumerate(zip(module.all_weights, *state, strict=True)):
        if number:
            x = F.dropout(x, module.dropout, module.training)
        if onednn_lstm.is_right(x.shape[-1], module.hidden_size, x.shape[1]):
            x, h, c = onednn_lstm.lstm(x, h, c, *weights)
        else:
            x, h, c = _LSTM.apply(x, h, c, *weights, precision)  # type: ignore[no-untyped-call]
        last.append((h, c))
    h, c = (torch.stack(tensors) for tensors in zip(*last, strict=True))
    return x, (h, c)


class _LSTM(torch.autograd.Function):
    """One layer: (T, B, I), (B, H) twice, the four parameters -> (T, B, H), (B, H) twice."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
        precision: Precision,
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, batch, width = len(x), h.shape[0], h.shape[1]
        w_ih, w_hh = (operand(reordered(w, OURS), precision) for w in (w_ih, w_hh))
        bias = reordered(b_ih + b_hh, OURS)
        inputs = operand(x.reshape(steps * batch, -1), precision)
        gates = F.linear(inputs, w_ih)
        gates = (gates.add_(bias) if gates.dtype == x.dtype else gates + bias).view(steps, batch, 4 * width)
        hidden = x.new_empty(steps + 1, batch, width)
        cells = x.new_empty(steps + 1, batch, width)
        hidden[0], cells[0] = h, c
        tanh_c = torch.empty_like(c, memory_format=torch.contiguous_format)
        _recur(gates, hidden, cells, tanh_c, w_hh)
        ctx.save_for_backward(inputs, gates, hidden, cells, w_ih, w_hh)
        ctx.set_materialize_grads(False)
        return hidden[1:], hidden[-1].clone(), cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Tensor | None, grad_h: Tensor | None, grad_c: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        inputs, gates, hidden, cells, w_ih, w_hh = ctx.saved_tensors
        steps, batch, width = len(gates), cells.shape[1], cells.shape[2]
        dh = torch.zeros_like(cells[0]) if grad_h is None else grad_h.clone()
        dc = torch.zeros_like(cells[0]) if grad_c is None else grad_c.clone()
        d_gates = _unroll_back(grad, dh, dc, gates, cells, w_hh)

        # One product for each parameter, over all steps and sequences.
        rows = d_gates.view(steps * batch, 4 * width)
        narrow = rows.to(w_hh.dtype)
        previous = hidden[:-1].reshape(steps * batch, width).to(w_hh.dtype)
        needs_x, needs_h, needs_c, needs_w_ih, needs_w_hh, needs_b_ih, needs_b_hh, _ = ctx.needs_input_grad
        dtype = gates.dtype
        dx = (narrow @ w_ih).to(dtype).view(steps, batch, -1) if needs_x else None
        dw_ih = reordered((narrow.t() @ inputs).to(dtype), TORCHS) if needs_w_ih else None
        dw_hh = reordered((narrow.t() @ previous).to(dtype), TORCHS) if needs_w_hh else None
        db = reordered(rows.sum(0), TORCHS) if needs_b_ih or needs_b_hh else None
        if needs_h:
            dh = (narrow[:batch] @ w_hh).to(dtype)
        return (
            dx,
            dh if needs_h else None,
            dc if needs_c else None,
            dw_ih,
            dw_hh,
            db if needs_b_ih else None,
            db.clone() if db is not None and needs_b_hh else None,
            None,
        )


def _recur(gates: Tensor, hidden: Tensor, cells: Tensor, tanh_c: Tensor, w_hh: Tensor) -> None:
    """The steps of the forward pass, in place.

    `gates` (T, B, 4H) come in as the input's part and go out activated; `hidden` and `cells` (T + 1, B, H) come with
    the state before the first step and are filled.
    """
    width = cells.shape[-1]
    w_hh_t = w_hh.t()
    sigmoids, candidates = gates[..., : 3 * width].unbind(), gates[..., 3 * width :].unbind()
    outputs, entries, forgets = (gate.unbind() for gate in gates[..., : 3 * width].chunk(3, -1))
    all_gates, h, c = gates.unbind(), hidden.unbind(), cells.unbind()
    narrow = w_hh_t.dtype != gates.dtype
    if narrow:
        operand, recurrent = h[0].to(w_hh_t.dtype), torch.empty_like(all_gates[0], dtype=w_hh_t.dtype)
    for t in range(len(all_gates)):
        if narrow:
            torch.mm(operand.copy_(h[t]), w_hh_t, out=recurrent)
            all_gates[t].add_(recurrent)
        else:
            all_gates[t].addmm_(h[t], w_hh_t)
        sigmoids[t].sigmoid_()
        candidates[t].tanh_()
        torch.mul(forgets[t], c[t], out=c[t + 1]).addcmul_(entries[t], candidates[t])
        torch.mul(outputs[t], torch.tanh(c[t + 1], out=tanh_c), out=h[t + 1])


def _unroll_back(grad: Tensor | None, dh: Tensor, dc: Tensor, gates: Tensor, cells: Tensor, w_hh: Tensor) -> Tensor:
    """The gradient of the gates before their activation, (T, B, 4H), from that of every h, and of the last h and c.

    `dc` is left as the gradient of the first c; `dh` is overwritten.
    """
    steps, batch, width = len(gates), cells.shape[1], cells.shape[2]
    output, entry, forget, candidate = gates.chunk(4, -1)  # (T, B, H) each
    tanh_c = torch.tanh(cells[1:])

    # d h / d o before its activation, and d c / d (i, f, g) before theirs, for all steps at once.
    d_gates = torch.empty_like(gates)
    d_output, d_entry, d_forget, d_candidate = d_gates.chunk(4, -1)
    torch.mul(output, 1 - output, out=d_output).mul_(tanh_c)
    torch.mul(entry, 1 - entry, out=d_entry).mul_(candidate)
    torch.mul(forget, 1 - forget, out=d_forget).mul_(cells[:-1])
    torch.addcmul(entry, candidate * entry, candidate, value=-1, out=d_candidate)
    d_cell = tanh_c.square_().neg_().add_(1).mul_(output)  # d h / d c

    all_gates, of_h, of_c = (
        d_gates.unbind(),
        d_output.unbind(),
        d_gates.view(steps, batch, 4, width)[:, :, 1:].unbind(),
    )
    cell, kept = d_cell.unbind(), forget.unbind()
    every_h = None if grad is None else grad.unbind()
    across = dc.unsqueeze(1)  # (B, 1, H), for three gates
    narrow = w_hh.dtype != gates.dtype
    w_hh = w_hh.t().contiguous().t()  # a third faster in bfloat16
    if narrow:
        operand, recurrent = torch.empty_like(all_gates[0], dtype=w_hh.dtype), torch.empty_like(dh, dtype=w_hh.dtype)
    for t in reversed(range(steps)):
        if t < steps - 1:
            if narrow:
                torch.mm(operand.copy_(all_gates[t + 1]), w_hh, out=recurrent)
                dh.copy_(recurrent)
            else:
                torch.mm(all_gates[t + 1], w_hh, out=dh)
        if every_h is not None:
            dh.add_(every_h[t])
        dc.addcmul_(dh, cell[t])
        of_h[t].mul_(dh)
        of_c[t].mul_(across)
        dc.mul_(kept[t])
    return d_gates
