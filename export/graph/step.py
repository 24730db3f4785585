"""The `step` graph: one token for each of B sequences, on a memory that is a ring written in place.

Every sequence has its own memory length and its own place in the ring, and may sit a step out: then its h and c stay as
they are. Attention has no positions, so the order of the ring's rows does not matter; slots fill in order, so the first
`held` are those that may be attended to. The LSTM is written out, as at T = 1 ONNX's LSTM operator costs more than its
products. Inputs and outputs are described in docs/onnx.md.
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
    g.input("due", "bool", ["B", 1])
    if config.attention_layers:
        _mask(g)
    model(g, config, tokens, _lstm_cell, _attend)
    for i in range(config.layers):
        for part in ("h", "c"):
            g.output(f"layers.{i}.{part}.next", precision, ["B", H])
        if config.attends(i):
            g.output(f"layers.{i}.ring.next", precision, ["B_heads", "C", d])
    return g.model()


def _mask(g: Graph) -> None:
    """Add the inputs that tell of the ring, and `bias`: 0 for slots that hold a row, -inf for the others."""
    g.input("slots", "int64", ["B_heads", 2])
    held, numbers = g.input("held", "int64", ["B_heads", 1, 1]), g.input("numbers", "int64", ["C"])
    holds = g.add("Less", [numbers, held], "holds")  # (B A, 1, C)
    zero, never = (g.constant(name, np.array(value, np.float32)) for name, value in (("zero", 0), ("never", -np.inf)))
    g.add("Where", [holds, zero, never], "bias")


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
    new_c = g.add("Add", [kept, added], f"{block}.rnn_c")
    new_h = g.add("Mul", [o_gate, g.add("Tanh", [new_c], f"{block}.rnn_tanh_c")], f"{block}.rnn")  # (B, H)
    g.add("Where", ["due", new_h, h], f"{layer}.h.next")
    g.add("Where", ["due", new_c, c], f"{layer}.c.next")
    return new_h


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
    scores = g.add("Add", [scores, "bias"], f"{block}.attn.masked_scores")
    focus = g.add("Softmax", [scores], f"{block}.attn.focus", axis=-1)
    focus = g.cast(focus, g.precision, f"{block}.attn.focus_cast")
    mix = g.add("MatMul", [focus, ring], f"{block}.attn.mix_heads")  # (B A, 1, d)
    mix = g.add("Reshape", [mix, g.integers(-1, H)], f"{block}.attn.mix_values")  # (B, H)
    mix = g.add("Mul", [mix, g.weight(f"{block}.attn.gain")], f"{block}.attn.mix")
    return g.add("Add", [x, mix], f"{block}.post_attn")
