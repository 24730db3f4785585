"""Small weights: int8 or int4 in blocks, for products in an operator with kernels on the CPU and on CUDA.

`com.microsoft.MatMulNBits` reads a weight as (out, blocks, bytes), where each block of numbers along the input axis has
a scale of its own, float (out, blocks). The numbers are stored from 0; `1 << (bits - 1)` stands for zero. Two numbers
of 4 bits share a byte, the first in its low half.

ONNX's LSTM operator has no weight-only form. The segment graph computes its weights from the small ones by operators of
ONNX itself, which runtimes do once, when they load the graph.

`_ACCURACY` is what the operator may do to its activations: on the CPU it rounds each block of a row to 8 bits, with a
scale of its own, so that the sequences of a batch do not influence each other. Without, it computes in float32, 17
times slower. On CUDA activations are not rounded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.graph.builder import ELEMENT, LEADING, Graph, Precision
from export.graph.int8 import is_block_matrix

SmallWeights = Literal["int8", "int4"]
"""How the weights of a block's products are stored, where not in the export's precision."""
BITS: dict[SmallWeights, int] = {"int8": 8, "int4": 4}
_BLOCKS = {8: (256, 128, 64, 32), 4: (128, 64, 32)}
"""Numbers that share a scale, by their bits, largest first: the largest are the fastest, and with 4 bits a block of 256
would cost twice the accuracy (docs/onnx.md)."""
_SMALLEST_BLOCK = 16  # the operator takes no smaller one
_ACCURACY = 4


@dataclass(frozen=True)
class Blocks:
    """A weight (in, out), quantised."""

    bits: int
    """8 or 4."""
    numbers: NDArray[np.uint8]
    """(out, blocks, bytes of a block)."""
    scales: NDArray[np.floating[Any]]
    """(out, blocks)."""

    def dequantised(self, width: int) -> NDArray[np.float64]:
        """The weight (in = `width`, out) that the numbers stand for."""
        pairs = self.numbers if self.bits == 8 else np.stack([self.numbers % 16, self.numbers // 16], axis=-1)
        numbers = pairs.reshape(*self.scales.shape, -1).astype(np.float64)
        values = (numbers - (1 << (self.bits - 1))) * self.scales[..., None].astype(np.float64)
        return values.reshape(len(values), -1)[:, :width].T


def block_size(width: int, bits: int) -> int:
    """Numbers in a block of a weight with `width` inputs: the size that pads the weight least, the largest of those."""
    if width <= _SMALLEST_BLOCK:
        return _SMALLEST_BLOCK
    return min(_BLOCKS[bits], key=lambda size: -(-width // size) * size)


def quantise(weight: NDArray[np.float64], bits: int, dtype: str) -> Blocks:
    """The weight (in, out) in `bits` bits, its scales in `dtype`, with the scales that were found to round it best."""
    size = block_size(len(weight), bits)
    rows = np.pad(weight.T, ((0, 0), (0, -len(weight) % size))).reshape(weight.shape[1], -1, size)
    zero = 1 << (bits - 1)
    scales = _scales(rows, zero, dtype)
    numbers: NDArray[Any] = np.rint(rows / scales[..., None].astype(np.float64)).clip(-zero, zero - 1) + zero
    if bits == 4:
        numbers = numbers[..., 0::2] + 16 * numbers[..., 1::2]
    return Blocks(bits, numbers.astype(np.uint8), scales)


def _scales(rows: NDArray[np.float64], zero: int, dtype: str) -> NDArray[Any]:
    """The scale of each block of `rows` (out, blocks, size) that leaves the least squared error.

    With 8 bits, the number furthest from 0 becomes 127 or -127. With 4 bits it becomes -8, so that its scale has the
    opposite sign, and smaller scales are tried as well: they cut that number short and round all others more finely.
    Together this takes a sixth off the error of 7 and -7.
    """
    furthest = np.take_along_axis(rows, np.abs(rows).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    most = zero if zero == 8 else zero - 1
    furthest = np.where(furthest == 0, 1e-30, furthest)  # a block of zeros has any scale
    scales = _rounded_up(furthest / -most, dtype)
    best, least = scales, np.full(scales.shape, np.inf)
    for share in np.arange(1.05, 0.68, -0.025) if zero == 8 else [1.0]:
        scales = _rounded_up(furthest / -most * share, dtype)
        each = scales[..., None].astype(np.float64)
        error = np.square(np.rint(rows / each).clip(-zero, zero - 1) * each - rows).sum(axis=-1)
        best, least = np.where(error < least, scales, best), np.minimum(error, least)
    return best


def _rounded_up(scales: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """`scales` in `dtype`, none nearer to 0 than it was: of a small number float16 has only few digits, or none."""
    rounded = scales.astype(dtype)
    away = np.nextafter(rounded, np.copysign(np.inf, scales).astype(dtype))
    return np.where(np.abs(rounded.astype(np.float64)) < np.abs(scales), away, rounded)


def quantise_blocks(
    folded: Mapping[str, NDArray[np.float64]], weights: SmallWeights, precision: Precision
) -> dict[str, NDArray[Any]]:
    """The weights that `export.fold` makes, as `precision` and, for every matrix of a block, `<name>.<weights>.numbers`
    and `.scales` in its place. The decoder and the embedding stay as they are.
    """
    stored: dict[str, NDArray[Any]] = {}
    for name, weight in folded.items():
        if is_block_matrix(name):
            blocks = quantise(weight, BITS[weights], precision)
            stored |= {f"{name}.{weights}.numbers": blocks.numbers, f"{name}.{weights}.scales": blocks.scales}
        else:
            stored[name] = weight.astype(precision)
    return stored


def weights_of(names: Iterable[str]) -> SmallWeights | None:
    """How the weights of a graph are stored, by the names of all its stored tensors; None: in its precision."""
    return next((kind for name in names for kind in BITS if name.endswith(f".{kind}.numbers")), None)


def is_small(g: Graph, weight: str) -> bool:
    """Whether `weight` is stored small."""
    return _kind(g, weight) is not None


def small_product(g: Graph, x: str, weight: str, width: int, output: str) -> str:
    """Add x W, (..., in = `width`) -> (..., out), with W stored small."""
    numbers, scales, bits = _stored(g, weight)
    out, _, size = g.weights[numbers].shape
    return g.contrib(
        "MatMulNBits",
        [x, g.weight(numbers), g.weight(scales)],
        output,
        [*LEADING[g.name], out],
        K=width,
        N=out,
        bits=bits,
        block_size=size * 8 // bits,
        accuracy_level=_ACCURACY,
    )


def whole_weight(g: Graph, weight: str, width: int) -> str:
    """Add the weight (1, out, in = `width`) that small numbers stand for, in the graph's precision."""
    numbers, scales, bits = _stored(g, weight)
    out, blocks, size = g.weights[numbers].shape
    zero, size = 1 << (bits - 1), size * 8 // bits
    each = g.weight(numbers)  # (out, blocks, bytes)
    if bits == 4:
        each = g.add("Cast", [each], f"{weight}.pairs", to=ELEMENT["int32"])
        sixteen = g.constant("int32_16", np.array(16, np.int32))
        high = g.add("Div", [each, sixteen], f"{weight}.high")
        low = g.add("Sub", [each, g.add("Mul", [high, sixteen], f"{weight}.high_part")], f"{weight}.low")
        halves = [g.add("Unsqueeze", [half, g.integers(-1)], f"{half}_half") for half in (low, high)]
        each = g.add("Concat", halves, f"{weight}.halves", axis=-1)  # (out, blocks, bytes, 2)
        each = g.add("Reshape", [each, g.integers(out, blocks, size)], f"{weight}.numbers")
    each = g.add("Cast", [each], f"{weight}.from_zero", to=ELEMENT[g.precision])
    each = g.add("Sub", [each, g.constant(f"zero_of_{bits}_bits", np.array(zero, g.precision))], f"{weight}.units")
    by = g.add("Unsqueeze", [g.weight(scales), g.integers(-1)], f"{weight}.scale_of_block")  # (out, blocks, 1)
    each = g.add("Mul", [each, by], f"{weight}.blocks")
    each = g.add("Reshape", [each, g.integers(1, out, blocks * size)], f"{weight}.padded")
    if blocks * size == width:
        return each
    return g.add("Slice", [each, g.integers(0), g.integers(width), g.integers(2)], f"{weight}.T")


def _kind(g: Graph, weight: str) -> SmallWeights | None:
    return next((kind for kind in BITS if f"{weight}.{kind}.numbers" in g.weights), None)


def _stored(g: Graph, weight: str) -> tuple[str, str, int]:
    """The names of the numbers and of the scales of `weight`, and the bits of a number."""
    kind = _kind(g, weight)
    assert kind is not None
    return f"{weight}.{kind}.numbers", f"{weight}.{kind}.scales", BITS[kind]
