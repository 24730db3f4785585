"""Deliberate faults in the port, each with the recorded tensor that shows it first.

A fault is a function that plants it with pytest's monkeypatch.
"""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F

import parity.replay.model as replay
import parity.replay.training as replay_training
import sharnn_py.lamb as lamb
import sharnn_py.model as model
from sharnn_py import Baseline
from sharnn_py.layers import EPS, Boom, LayerNorm
from sharnn_py.model import Block
from sharnn_py.state import LayerState


def replace_loaded(patch, change):
    """Let `change` alter the port's state_dict after SHA-RNN.jl's parameters were read."""
    load = replay.from_julia
    patch.setattr(replay, "from_julia", lambda theirs, config: change(load(theirs, config)))


def swapped_gates(patch):
    def change(p):
        for name in p:
            if ".rnn." in name:
                i, f, c, o = p[name].chunk(4)
                p[name] = torch.cat([i, c, f, o])
        return p

    replace_loaded(patch, change)


def swapped_biases(patch):
    """Harmless to the forward pass, where they are added, but not to the moments that Julia keeps of them."""

    def change(p):
        for name in list(p):
            if name.endswith("bias_ih_l0"):
                other = name.replace("_ih_", "_hh_")
                p[name], p[other] = p[other], p[name]
        return p

    replace_loaded(patch, change)


def transposed_query(patch):
    replace_loaded(patch, lambda p: {k: v.mT.contiguous() if k.endswith("attn.q.weight") else v for k, v in p.items()})


def n_for_n_minus_1(patch):
    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        return self.weight * (centred / (centred.square().mean(-1, keepdim=True).sqrt() + EPS)) + self.bias

    patch.setattr(LayerNorm, "forward", forward)


def tanh_gelu(patch):
    patch.setattr("sharnn_py.layers.gelu", lambda x: F.gelu(x, approximate="tanh"))


def boom_chunks_reversed(patch):
    fold = Boom.fold
    patch.setattr(Boom, "fold", lambda self, x: fold(self, x).flip(-1))


def scale_off_by_root_two(patch):
    patch.setattr("sharnn_py.layers.math", SimpleNamespace(sqrt=lambda x: math.sqrt(2 * x)))


def focus_over_queries(patch):
    softmax = torch.Tensor.softmax
    patch.setattr(torch.Tensor, "softmax", lambda self, dim: softmax(self, -2))


def one_row_too_few(patch):
    drop = model.rows_dropped
    patch.setattr(model, "rows_dropped", lambda *args, **named: drop(*args, **named) + 1)


def oldest_rows_kept(patch):
    forward = Block.forward

    def keep_oldest(self, h, state, note=lambda name, x: None):
        seen = {}
        h, layer = forward(self, h, state, lambda n, x: (seen.__setitem__(n, x), note(n, x))[1])
        if self.attn is None:
            return h, layer
        return h, LayerState(layer.h, layer.c, seen["keys"][: self.max_memory].detach())

    patch.setattr(Block, "forward", keep_oldest)


def memory_normed_again(patch):
    forward = Block.forward

    def norm(self, h, state, note=lambda name, x: None):
        h, layer = forward(self, h, state, note)
        if self.attn is None:
            return h, layer
        return h, LayerState(layer.h, layer.c, self.lnmem(layer.memory).detach())

    patch.setattr(Block, "forward", norm)


def changed_state(patch, change):
    forward = Block.forward

    def wrong(self, h, state, note=lambda name, x: None):
        h, layer = forward(self, h, state, note)
        return h, change(self, layer)

    patch.setattr(Block, "forward", wrong)


def h_and_c_exchanged(patch):
    changed_state(patch, lambda self, layer: LayerState(layer.c, layer.h, layer.memory))


def state_not_carried(patch):
    changed_state(patch, lambda self, s: LayerState(torch.zeros_like(s.h), torch.zeros_like(s.c), s.memory))


def mask_one_too_wide(patch):
    """A step sees the step after it."""
    patch.setattr(
        model,
        "causal_mask",
        lambda memory, steps, like: torch.full((steps, memory + steps), -torch.inf, dtype=like.dtype).triu_(memory + 2),
    )


def missing_detach(what):
    def plant(patch):
        forward = Block.forward

        def attached(self, h, state, note=lambda name, x: None):
            seen = {}
            h, layer = forward(self, h, state, lambda n, x: (seen.__setitem__(n, x), note(n, x))[1])
            return h, dataclasses.replace(layer, **{what: seen[what]} if what in seen else {})

        patch.setattr(Block, "forward", attached)

    return plant


def memory_gradient_cut(patch):
    """The new keys detached too, so nothing flows back through them."""
    cat = torch.cat
    patch.setattr(model.torch, "cat", lambda tensors, *args: cat([t.detach() for t in tensors], *args))


def clip_skipped(patch):
    patch.setattr(lamb, "clip_to", lambda gradients, limit: None)


def sparse_clipped_too(patch):
    patch.setattr(lamb, "unclipped_by_julia", lambda config: set())


def changed_optimizer(**options):
    def plant(patch):
        build = replay_training.julia_lamb

        def wrong(*args, **named):
            optimizer = build(*args, **named)
            for group in optimizer.param_groups:
                group.update(options)
            return optimizer

        patch.setattr(replay_training, "julia_lamb", wrong)

    return plant


def bias_correction(patch):
    update = lamb.MinTrustLAMB._update

    def corrected(self, group, parameters):
        group = {**group, "lr": group["lr"] / (1 - 0.9 ** (group["step"] + 1))}
        update(self, group, parameters)

    patch.setattr(lamb.MinTrustLAMB, "_update", corrected)


def tied_bias_dropped(patch):
    patch.setattr(model.TiedDecoder, "forward", lambda self, h, embedding: F.linear(h, embedding))


def baseline_state_lost(patch):
    forward = Baseline.forward
    patch.setattr(Baseline, "forward", lambda self, tokens, state=None, note=None: forward(self, tokens, None, note))


JL4, JL2, LONG, STEPS = (f"sha_rnn_jl/{n}" for n in ("L4_h1_tied_b2", "L2_h1_tied_b2", "L2_longseg", "L4_T1_steps"))
SM, LAMB = "smerity/L2_h1_tied_b2", "smerity/L4_h1_tied_b2_lamb"

# fault, recording, the first tensor to show it
FAULTS = [
    (swapped_gates, JL4, "eval/1/blocks.1.rnn"),
    (transposed_query, JL4, "eval/1/blocks.3.attn.q_linear"),
    (n_for_n_minus_1, JL4, "eval/1/blocks.1.lnstart"),
    (tanh_gelu, JL4, "eval/1/blocks.1.boom_gelu"),
    (boom_chunks_reversed, JL4, "eval/1/blocks.1.boom"),
    (scale_off_by_root_two, JL4, "eval/1/blocks.3.attn.scores"),
    (focus_over_queries, JL4, "eval/1/blocks.3.attn.focus"),
    (one_row_too_few, JL4, "eval/2/mem_in.3.size"),
    (one_row_too_few, SM, "eval/2/blocks.0.new_mem"),
    (oldest_rows_kept, LONG, "eval/6/mem_in.1"),
    (memory_normed_again, JL2, "eval/2/mem_in.1"),
    (h_and_c_exchanged, JL4, "eval/2/blocks.1.rnn"),
    (state_not_carried, STEPS, "eval/2/blocks.1.rnn"),
    (mask_one_too_wide, JL4, "eval/1/mask"),
    (mask_one_too_wide, SM, "eval/1/blocks.0.attn.focus"),
    (missing_detach("memory"), JL2, "grad/2/blocks.1.lnmem.beta"),
    (missing_detach("h"), JL4, "grad/2/blocks.4.rnn.w"),
    (missing_detach("c"), SM, "grad/2/blocks.1.rnn.bias_hh_l0"),
    (memory_gradient_cut, JL4, "grad/1/blocks.3.lnmem.beta"),
    (swapped_biases, JL4, "param/blocks.1.rnn.w"),
    (clip_skipped, JL4, "train/1/fstm/encoder.w"),
    (sparse_clipped_too, JL4, "train/1/fstm/blocks.1.rnn.w"),
    (changed_optimizer(weight_decay=0.01), JL4, "train/1/param/encoder.w"),
    (changed_optimizer(min_trust=0.0), JL4, "train/1/param/encoder.w"),
    (bias_correction, JL4, "train/1/param/encoder.w"),
    (bias_correction, LAMB, "train/1/param/encoder.weight"),
    (tied_bias_dropped, SM, "eval/1/logits"),
    (baseline_state_lost, "sha_rnn_jl/baseline_l2", "eval/2/rnn"),
]
