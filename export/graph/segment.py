"""The `segment` graph: any number of steps T, of sequences B, of memory rows M, M = 0 and T = 1 included.

Inputs and outputs are described in docs/onnx.md. The mask is an input: it depends on T, on M and on which memory rows
row 4 of docs/semantics.md drops, and to compute it in the graph would need shape arithmetic, which runs on the CPU.
"""

from onnx import ModelProto

from export.graph.builder import Graph, Precision, Weights
from export.graph.layers import layer_norm, linear, model
from export.graph.small_weights import is_small, whole_weight
from sharnn_py.config import Config

_END = 2**31 - 1


def segment(config: Config, precision: Precision, weights: Weights) -> ModelProto:
    """The `segment` graph of a model whose folded weights (`export.fold`) are stored as `weights` says."""
    g = Graph("segment", precision, weights)
    H = config.emb
    tokens = g.input("tokens", "int64", ["T", "B"])
    if config.attention_layers:
        g.input("mask", "float32", ["T", "K"])
        if config.semantics.attention_scale == "julia":
            g.input("attention_scale", "float32", [])
            g.cast("attention_scale", precision, "attention_scale_cast")
    model(g, config, tokens, _lstm, _attend)
    for i in range(config.layers):
        for part in ("h", "c"):
            g.output(f"layers.{i}.{part}.next", precision, ["B", H])
        if config.attends(i):
            g.output(f"layers.{i}.memory.next", precision, [f"M.next.{i}", "B", H])
    return g.model()


def _lstm(g: Graph, config: Config, x: str, i: int) -> str:
    H, block, layer = config.emb, f"blocks.{i}", f"layers.{i}"
    state = []
    for part in ("h", "c"):
        g.input(f"{layer}.{part}", g.precision, ["B", H])
        state.append(g.add("Unsqueeze", [f"{layer}.{part}", g.integers(0)], f"{block}.{part}_in"))  # (1, B, H)
    W, R = (_transposed(g, f"{block}.rnn.{name}", H) for name in "WR")  # (1, 4H, H)
    B = g.weight(f"{block}.rnn.B", (1, 8 * H))
    y, h, c = g.split(
        "LSTM",
        [x, W, R, B, "", *state],
        [f"{block}.rnn_directions", f"{block}.rnn_h", f"{block}.rnn_c"],
        hidden_size=H,
    )  # (T, 1, B, H), (1, B, H) twice
    g.add("Squeeze", [h, g.integers(0)], f"{layer}.h.next")
    g.add("Squeeze", [c, g.integers(0)], f"{layer}.c.next")
    return g.add("Squeeze", [y, g.integers(1)], f"{block}.rnn")  # (T, B, H)


def _transposed(g: Graph, weight: str, H: int) -> str:
    """Add the LSTM operator's form of a weight, (1, 4H, H)."""
    if is_small(g, weight):
        return whole_weight(g, weight, H)
    return g.add("Transpose", [g.weight(weight, (1, H, 4 * H))], f"{weight}.T", perm=[0, 2, 1])


def _attend(g: Graph, config: Config, x: str, i: int) -> str:
    H, d, block = config.emb, config.emb // config.heads, f"blocks.{i}"
    memory = g.input(f"layers.{i}.memory", g.precision, ["M", "B", H])
    new = layer_norm(g, config, x, f"{block}.lnmem")
    keys = g.add("Concat", [memory, new], f"{block}.keys", axis=0)  # (K, B, H)
    kept = [g.integers(-config.max_memory), g.integers(_END), g.integers(0)]
    g.add("Slice", [keys, *kept], f"layers.{i}.memory.next")

    x = layer_norm(g, config, x, f"{block}.lnmid")
    q = layer_norm(g, config, linear(g, config, x, f"{block}.attn.q", f"{block}.attn.q_linear"), f"{block}.attn.qln")
    if config.semantics.attention_scale == "julia":
        scale = "attention_scale" if g.precision == "float32" else "attention_scale_cast"
        q = g.add("Mul", [q, scale], f"{block}.attn.q")
    by_head = g.integers(0, -1, d)
    q = g.add("Reshape", [q, by_head], f"{block}.attn.q_heads")  # (T, B A, d)
    q = g.add("Transpose", [q], f"{block}.attn.q_by_head", perm=[1, 0, 2])  # (B A, T, d)
    k = g.add("Reshape", [keys, by_head], f"{block}.attn.k_heads")  # (K, B A, d)
    v = g.add("Transpose", [k], f"{block}.attn.v_by_head", perm=[1, 0, 2])  # (B A, K, d)
    k = g.add("Transpose", [k], f"{block}.attn.k_by_head", perm=[1, 2, 0])  # (B A, d, K)

    scores = g.add("MatMul", [q, k], f"{block}.attn.scores")  # (B A, T, K)
    scores = g.cast(scores, "float32", f"{block}.attn.scores_float32")
    scores = g.add("Add", [scores, "mask"], f"{block}.attn.masked_scores")
    focus = g.add("Softmax", [scores], f"{block}.attn.focus", axis=-1)
    focus = g.cast(focus, g.precision, f"{block}.attn.focus_cast")
    mix = g.add("MatMul", [focus, v], f"{block}.attn.mix_by_head")  # (B A, T, d)
    mix = g.add("Transpose", [mix], f"{block}.attn.mix_heads", perm=[1, 0, 2])  # (T, B A, d)
    mix = g.add("Reshape", [mix, g.integers(0, -1, H)], f"{block}.attn.mix_values")  # (T, B, H)
    mix = g.add("Mul", [mix, g.weight(f"{block}.attn.gain")], f"{block}.attn.mix")
    return g.add("Add", [x, mix], f"{block}.post_attn")
