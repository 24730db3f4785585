"""The `step` graph: one token for each of B sequences, on a memory that is a ring written in place.

Attention has no positions, so the order of the ring's rows does not matter; `bias` holds -inf for slots that were never
written. The LSTM is written out, as at T = 1 ONNX's LSTM operator costs more than its products. Inputs and outputs are
described in docs/onnx.md.
"""

import numpy as np
from onnx import ModelProto

from export.graph.builder import Graph, Precision, Weights
from export.graph.int8 import int8_product, is_int8
from export.graph.layers import layer_norm, linear, model
from export.graph.small_weights import is_small, small_product
from sharnn_py.config import Config


def step(config: Config, precision: Precision, weights: Weights) -> ModelProto:
    """The `step` graph of a model whose folded weights (`export.fold`) are stored as `weights` says.

    Products whose weight is stored in int8 as well (`export.graph.int8`) are computed in int8, and those whose weight
    is stored small (`export.graph.small_weights`) from that.
    """
    g = Graph("step", precision, weights)
    H, d = config.emb, config.emb // config.heads
    tokens = g.input("tokens", "int64", ["B"])
    if config.attention_layers:
        _ring(g, config)
    model(g, config, tokens, _lstm_cell, _attend)
    for i in range(config.layers):
        for part in ("h", "c"):
            g.output(f"layers.{i}.{part}.next", precision, ["B", H])
        if config.attends(i):
            g.output(f"layers.{i}.ring.next", precision, ["B_heads", "C", d])
    if config.attention_layers:
        g.output("bias.next", "float32", ["C"])
    return g.model()


def _ring(g: Graph, config: Config) -> None:
    """Add the inputs of the ring, and mark the slot that this step writes as one that may be attended to."""
    g.input("slots", "int64", ["B_heads", 2])
    bias = g.input("bias", "float32", ["C"])
    slot = g.add("Slice", ["slots", g.integers(0, 1), g.integers(1, 2), g.integers(0, 1)], "slot")  # (1, 1)
    g.add("ScatterND", [bias, slot, g.constant("allowed", np.zeros(1, np.float32))], "bias.next")


def _lstm_cell(g: Graph, config: Config, x: str, i: int) -> str:
    H, block, layer = config.emb, f"blocks.{i}", f"layers.{i}"
    h, c = g.input(f"{layer}.h", g.precision, ["B", H]), g.input(f"{layer}.c", g.precision, ["B", H])
    gates = _gates(g, config, x, h, block)  # (B, 4H)
    three, new = g.split(
        "Split", [gates, g.integers(3 * H, H)], [f"{block}.rnn_iof_gates", f"{block}.rnn_c_gate"], axis=-1
    )
    three = g.add("Sigmoid", [three], f"{block}.rnn_iof")
    new = g.add("Tanh", [new], f"{block}.rnn_new")
    i_gate, o_gate, f_gate = g.split("Split", [three], [f"{block}.rnn_{gate}" for gate in "iof"], axis=-1)
    kept = g.add("Mul", [f_gate, c], f"{block}.rnn_kept")
    added = g.add("Mul", [i_gate, new], f"{block}.rnn_added")
    c = g.add("Add", [kept, added], f"{layer}.c.next")
    return g.add("Mul", [o_gate, g.add("Tanh", [c], f"{block}.rnn_tanh_c")], f"{layer}.h.next")  # (B, H)


def _gates(g: Graph, config: Config, x: str, h: str, block: str) -> str:
    bias = g.weight(f"{block}.rnn.B", (4 * config.emb,))
    if is_small(g, f"{block}.rnn.W") or is_int8(g, f"{block}.rnn.W"):
        if is_small(g, f"{block}.rnn.W"):
            x = small_product(g, x, f"{block}.rnn.W", config.emb, f"{block}.rnn_x")
            h = small_product(g, h, f"{block}.rnn.R", config.emb, f"{block}.rnn_h")
        else:
            x = int8_product(g, x, f"{block}.rnn.W", f"{block}.rnn_x")
            h = int8_product(g, h, f"{block}.rnn.R", f"{block}.rnn_h")
        return g.add("Add", [g.add("Add", [x, bias], f"{block}.rnn_input"), h], f"{block}.rnn_gates")
    x = g.add("Gemm", [x, g.weight(f"{block}.rnn.W"), bias], f"{block}.rnn_input")
    return g.add("Gemm", [h, g.weight(f"{block}.rnn.R"), x], f"{block}.rnn_gates")


def _attend(g: Graph, config: Config, x: str, i: int) -> str:
    H, d, block = config.emb, config.emb // config.heads, f"blocks.{i}"
    ring = g.input(f"layers.{i}.ring", g.precision, ["B_heads", "C", d])
    new = layer_norm(g, config, x, f"{block}.lnmem")
    new = g.add("Reshape", [new, g.integers(-1, d)], f"{block}.lnmem_heads")  # (B A, d)
    ring = g.add("ScatterND", [ring, "slots", new], f"layers.{i}.ring.next")  # (B A, C, d)

    x = layer_norm(g, config, x, f"{block}.lnmid")
    q = layer_norm(g, config, linear(g, config, x, f"{block}.attn.q", f"{block}.attn.q_linear"), f"{block}.attn.qln")
    q = g.add("Reshape", [q, g.integers(-1, d, 1)], f"{block}.attn.q_heads")  # (B A, d, 1)
    scores = g.add("MatMul", [ring, q], f"{block}.attn.scores_column")  # (B A, C, 1)
    scores = g.add("Reshape", [scores, g.integers(0, 1, -1)], f"{block}.attn.scores")  # (B A, 1, C)
    scores = g.cast(scores, "float32", f"{block}.attn.scores_float32")
    scores = g.add("Add", [scores, "bias.next"], f"{block}.attn.masked_scores")
    focus = g.add("Softmax", [scores], f"{block}.attn.focus", axis=-1)
    focus = g.cast(focus, g.precision, f"{block}.attn.focus_cast")
    mix = g.add("MatMul", [focus, ring], f"{block}.attn.mix_heads")  # (B A, 1, d)
    mix = g.add("Reshape", [mix, g.integers(-1, H)], f"{block}.attn.mix_values")  # (B, H)
    mix = g.add("Mul", [mix, g.weight(f"{block}.attn.gain")], f"{block}.attn.mix")
    return g.add("Add", [x, mix], f"{block}.post_attn")
