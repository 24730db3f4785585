"""The parts that both graphs share: embedding, LayerNorm, Boom, decoder. ... is (T, B) in `segment`, (B) in `step`."""

from collections.abc import Callable

import numpy as np

from export.fold import norm_eps
from export.graph.builder import ELEMENT, LEADING, Graph
from export.graph.int8 import int8_product, is_int8
from export.graph.small_weights import is_small, small_product
from sharnn_py.config import Config

Layer = Callable[[Graph, Config, str, int], str]
"""A function of (graph, config, input, i) that adds block i's LSTM or attention, (..., H) -> (..., H)."""


def model(g: Graph, config: Config, tokens: str, lstm: Layer, attend: Layer) -> None:
    """Add the whole model, from ids to logits, with the LSTM and the attention of `segment` or of `step`."""
    x = embed(g, tokens)  # (..., H)
    for i in range(config.layers):
        x = lstm(g, config, layer_norm(g, config, x, f"blocks.{i}.lnstart"), i)
        if config.attends(i):
            x = attend(g, config, x, i)
        x = boom(g, config, x, f"blocks.{i}")
    decode(g, config, x)


def layer_norm(g: Graph, config: Config, x: str, name: str) -> str:
    """Add a LayerNorm over the last axis, (..., H), computed in float32 whatever the graph's precision."""
    return g.add(
        "LayerNormalization",
        [x, g.weight(f"{name}.weight"), g.weight(f"{name}.bias")],
        name,
        axis=-1,
        epsilon=norm_eps(config.semantics.layer_norm, config.emb),
        stash_type=ELEMENT["float32"],
    )


def boom(g: Graph, config: Config, x: str, block: str) -> str:
    """Add lnff(x) + Boom(lnxff(x)), (..., H)."""
    H, chunks = config.emb, config.hidden // config.emb
    lead = [0] * (len(LEADING[g.name]))
    residual = layer_norm(g, config, x, f"{block}.lnff")
    x = layer_norm(g, config, x, f"{block}.lnxff")
    x = linear(g, config, x, f"{block}.boom", f"{block}.boom_linear")  # (..., F')
    gate = g.add("Mul", [x, g.constant("gelu_slope", np.array(1.702, g.precision))], f"{block}.boom_gelu_scaled")
    gate = g.add("Sigmoid", [gate], f"{block}.boom_gelu_gate")
    x = g.add("Mul", [x, gate], f"{block}.boom_gelu")
    if config.semantics.boom == "paper":
        if chunks > 1:
            x = g.add("Reshape", [x, g.integers(*lead, chunks, H)], f"{block}.boom_chunks")  # (..., F/H, H)
            x = g.add("ReduceSum", [x, g.integers(-2)], f"{block}.boom", keepdims=0)  # (..., H)
    else:
        x = g.add("Reshape", [x, g.integers(*lead, chunks, H)], f"{block}.boom_chunks")  # (..., F/H, H)
        x = g.add("ReduceSum", [x, g.integers(-1)], f"{block}.boom_sums", keepdims=0)  # (..., F/H)
        if chunks < H:
            axes = len(lead) + 1
            pads = g.integers(*[0] * (2 * axes - 1), H - chunks)
            x = g.add("Pad", [x, pads], f"{block}.boom")  # (..., H)
    return g.add("Add", [residual, x], f"{block}.out")


def linear(g: Graph, config: Config, x: str, weights: str, output: str) -> str:
    """Add x W + b, (..., H) -> (..., out), with W stored (H, out) or small."""
    if is_small(g, f"{weights}.weight"):
        product = small_product(g, x, f"{weights}.weight", config.emb, f"{output}_product")
    elif is_int8(g, f"{weights}.weight"):
        product = int8_product(g, x, f"{weights}.weight", f"{output}_product")
    else:
        product = g.add("MatMul", [x, g.weight(f"{weights}.weight")], f"{output}_product")
    return g.add("Add", [product, g.weight(f"{weights}.bias")], output)


def embed(g: Graph, tokens: str) -> str:
    """Add the embedding of ids, (...) -> (..., H)."""
    return g.add("Gather", [g.weight("encoder.weight"), tokens], "embed")  # (..., H)


def decode(g: Graph, config: Config, h: str) -> None:
    """Add the decoder, (..., H) -> the output `logits` (..., V), always float32."""
    weight = "encoder.weight" if config.tied else "decoder.weight"
    last = "logits" if g.precision == "float32" else "logits_float16"
    product = "logits_product" if config.decoder_bias else last
    # Runtimes fold this into the product, or do it once. Stored transposed as well, a tied weight would be there twice.
    columns = g.add("Transpose", [g.weight(weight)], "decoder.weight.T", perm=[1, 0])  # (H, V)
    x = g.add("MatMul", [h, columns], product)
    if config.decoder_bias:
        x = g.add("Add", [x, g.weight("decoder.bias")], last)
    g.cast(x, "float32", "logits")
    g.output("logits", "float32", [*LEADING[g.name], config.vocab])
