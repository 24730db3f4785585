"""The graphs `to_ring` and `to_memory`: the state of one sequence between the form of segments and that of steps.

They have no weights and compute nothing: rows are copied where the state is, so that on a GPU none crosses to the host.
The results may be bound to a place among the states of several sequences, which then step together.
"""

import numpy as np
from onnx import ModelProto

from export.graph.builder import Graph, Precision
from sharnn_py.config import Config


def to_ring(config: Config, precision: Precision) -> ModelProto:
    """From h and c (1, H) and memories (M, 1, H) to h, c and rings (heads, C, H / heads) of any number of slots."""
    g, H, d = Graph("to_ring", precision, {}), config.emb, config.emb // config.heads
    _h_and_c(g, config)
    if config.attention_layers:
        g.input("rows", "int64", ["C"])
        nothing = g.constant("nothing", np.zeros((1, 1, H), precision))
    for i in config.attention_layers or ():
        layer = f"layers.{i}"
        memory = g.input(f"{layer}.memory", precision, ["M", 1, H])
        memory = g.add("Concat", [memory, nothing], f"{layer}.memory_and_nothing", axis=0)  # (M + 1, 1, H)
        chosen = g.add("Gather", [memory, "rows"], f"{layer}.rows", axis=0)  # (C, 1, H)
        chosen = g.add("Reshape", [chosen, g.integers(0, config.heads, d)], f"{layer}.rows_heads")  # (C, A, d)
        g.add("Transpose", [chosen], f"{layer}.ring.next", perm=[1, 0, 2])
        g.output(f"{layer}.ring.next", precision, [config.heads, "C", d])
    return g.model()


def to_memory(config: Config, precision: Precision) -> ModelProto:
    """From h, c and rings back to h, c and memories."""
    g, H, d = Graph("to_memory", precision, {}), config.emb, config.emb // config.heads
    _h_and_c(g, config)
    if config.attention_layers:
        g.input("order", "int64", ["M"])
    for i in config.attention_layers or ():
        layer = f"layers.{i}"
        ring = g.input(f"{layer}.ring", precision, [config.heads, "C", d])
        chosen = g.add("Gather", [ring, "order"], f"{layer}.rows", axis=1)  # (A, M, d)
        chosen = g.add("Transpose", [chosen], f"{layer}.rows_heads", perm=[1, 0, 2])
        g.add("Reshape", [chosen, g.integers(0, 1, H)], f"{layer}.memory.next")
        g.output(f"{layer}.memory.next", precision, ["M", 1, H])
    return g.model()


def _h_and_c(g: Graph, config: Config) -> None:
    for i in range(config.layers):
        for part in ("h", "c"):
            name = g.input(f"layers.{i}.{part}", g.precision, [1, config.emb])
            g.add("Identity", [name], f"{name}.next")
            g.output(f"{name}.next", g.precision, [1, config.emb])
