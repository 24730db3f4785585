"""Products in int8, in operators of ONNX itself.

A weight has 8 bits and a scale for each output. An activation has 7 bits and a scale for each row, computed from the
row itself, as a scale for a whole batch would let its sequences influence each other. 7 bits, because processors
without VNNI add pairs of products in 16 bits, where no more than 2 * 127 * 127 fits: with 8 bits they would silently
saturate.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.graph.builder import ELEMENT, Graph

_MIDDLE = 64
"""The stored value of zero: activations are stored as 1 to 127."""


def quantise(weight: NDArray[np.float64]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight (in, out) as int8 (in, out) and scales float32 (out,), whose product approximates the weight."""
    largest = np.abs(weight).max(axis=0)
    scale = (np.where(largest > 0, largest, 1.0) / 127).astype(np.float32)
    return np.rint(weight / scale.astype(np.float64)).clip(-127, 127).astype(np.int8), scale


def is_block_matrix(name: str) -> bool:
    """Whether the folded weight of that name (`export.fold`) is a matrix of a block, all of which have H inputs."""
    return name.endswith((".rnn.W", ".rnn.R", ".attn.q.weight", ".boom.weight"))


def quantise_products(folded: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[Any]]:
    """`<name>.int8` and `<name>.scale` for every matrix of the blocks among the weights that `export.fold` makes.

    The decoder stays in float32, as most of what int8 costs in bits per byte would be its share (docs/onnx.md).
    """
    quantised: dict[str, NDArray[Any]] = {}
    for name, weight in folded.items():
        if is_block_matrix(name):
            quantised[f"{name}.int8"], quantised[f"{name}.scale"] = quantise(weight)
    return quantised


def is_int8(g: Graph, weight: str) -> bool:
    """Whether `weight` is stored in int8."""
    return f"{weight}.int8" in g.weights


def int8_product(g: Graph, x: str, weight: str, output: str) -> str:
    """Add x W, (B, in) -> (B, out) float32, with x and W rounded to int8."""
    q, scale = _rows_to_uint8(g, x)
    middle = g.constant("uint8_middle", np.array(_MIDDLE, np.uint8))
    whole = g.add("MatMulInteger", [q, g.weight(f"{weight}.int8"), middle], f"{output}_int32")  # (B, out)
    y = g.add("Cast", [whole], f"{output}_float32", to=ELEMENT["float32"])
    y = g.add("Mul", [y, g.weight(f"{weight}.scale")], f"{output}_by_row")
    return g.add("Mul", [y, scale], output)


def _rows_to_uint8(g: Graph, x: str) -> tuple[str, str]:
    """x (B, in) as uint8 around `_MIDDLE`, and the scale of each row, float32 (B, 1)."""
    size = g.add("Abs", [x], f"{x}.size")
    largest = g.add("ReduceMax", [size], f"{x}.largest", axes=[-1], keepdims=1)
    # A bound far below any activation, so that a row of zeros stays zero instead of becoming 0 / 0.
    largest = g.add("Max", [largest, g.constant("smallest", np.array([[2.0**-100]], np.float32))], f"{x}.bound")
    scale = g.add("Mul", [largest, g.constant("per_unit", np.array(1 / 63, np.float32))], f"{x}.scale")
    steps = g.add("Round", [g.add("Div", [x, scale], f"{x}.units")], f"{x}.steps")
    moved = g.add("Add", [steps, g.constant("middle", np.array(_MIDDLE, np.float32))], f"{x}.moved")
    return g.add("Cast", [moved], f"{x}.uint8", to=ELEMENT["uint8"]), scale
