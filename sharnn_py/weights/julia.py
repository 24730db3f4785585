"""Converting SHA-RNN.jl's parameters, named by its structs' fields, to the port's and back.

Arrays come with their axes reversed: a Julia (H, B, T) is a row-major (T, B, H), byte for byte. So a Julia Linear's
`w`, (out, in), is (in, out) here and is transposed; an Embed's `w`, (H, V), is (V, H) and is not. Blocks count from 1.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sharnn_py.baseline import BaselineConfig
from sharnn_py.config import Config
from sharnn_py.weights.shapes import parameter_shapes
from sharnn_py.weights.table import SAME, TRANSPOSED, Layout, Row, block_rows, leading_ones, to_ours, to_theirs

PROGRAM = "SHA-RNN.jl's parameters"


def _split_knet(flat: Tensor, shapes: list[tuple[int, ...]]) -> list[Tensor]:
    """Knet's flat vector in pieces: every layer's input and recurrent matrix, then every layer's two biases."""
    sizes = [torch.Size(shape).numel() for shape in shapes]
    return [piece.reshape(shape) for piece, shape in zip(torch.split(flat.flatten(), sizes), shapes, strict=True)]


def _join_knet(pieces: list[Tensor]) -> Tensor:
    """The pieces as one vector (P, 1, 1)."""
    flat = pieces[0].new_empty(sum(piece.numel() for piece in pieces))
    # torch.cat of tensors without data, of which only the shape is asked, loads torch's compiler: most of a second.
    for place, piece in zip(torch.split(flat, [piece.numel() for piece in pieces]), pieces, strict=True):
        place.copy_(piece.flatten())
    return flat.reshape(-1, 1, 1)


# Knet's gate order is torch's (i, f, c, o), and it uses the matrices transposed, so each slice of the vector is
# torch's tensor as it stands. Julia's (P, 1, 1) vector is (1, 1, P) with its axes reversed, recorded as (P, 1, 1).
KNET_LSTM = Layout(_split_knet, _join_knet)


def _norm(name: str) -> list[Row]:
    return [(f"{name}.gamma", (f"{name}.weight",), SAME), (f"{name}.beta", (f"{name}.bias",), SAME)]


def _linear(theirs: str, ours: str) -> list[Row]:
    return [(f"{theirs}.w", (f"{ours}.weight",), TRANSPOSED), (f"{theirs}.b", (f"{ours}.bias",), SAME)]


EVERY_BLOCK: list[Row] = [
    *_norm("lnstart"),
    ("rnn.w", ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"), KNET_LSTM),
    *_norm("lnff"),
    *_norm("lnxff"),
    *_linear("ff.lin1", "boom.linear"),
]
ATTENDING_BLOCK: list[Row] = [
    *_norm("lnmem"),
    *_norm("lnmid"),
    *_linear("attn.q", "attn.q"),
    *_norm("attn.qln"),
    *((f"attn.{gain}", (f"attn.{gain}",), leading_ones(1)) for gain in ("qs", "ks", "vs")),
    *_linear("attn.vq.linear", "attn.overparam"),
]


def rows(config: Config) -> list[Row]:
    """The whole table for a SHA-RNN of `config`, in the order of the forward pass."""
    table: list[Row] = [("encoder.w", ("encoder.weight",), SAME)]
    for i in range(config.layers):
        table += block_rows(EVERY_BLOCK + (ATTENDING_BLOCK if config.attends(i) else []), i, i + 1)
    return table + ([] if config.tied else _linear("decoder", "decoder"))


def baseline_rows(config: BaselineConfig) -> list[Row]:
    """The whole table for a baseline of `config`."""
    weights = [f"rnn.weight_{side}_l{layer}" for layer in range(config.layers) for side in ("ih", "hh")]
    biases = [f"rnn.bias_{side}_l{layer}" for layer in range(config.layers) for side in ("ih", "hh")]
    return [
        ("embed.w", ("embed.weight",), SAME),
        ("rnn.w", (*weights, *biases), KNET_LSTM),
        *_linear("projection", "projection"),
    ]


def from_julia(parameters: Mapping[str, Tensor], config: Config | BaselineConfig) -> dict[str, Tensor]:
    """A state_dict for `SHARNN(config)` or `Baseline(config)` from SHA-RNN.jl's parameters, bit for bit.

    `parameters` maps names such as `blocks.3.attn.q.w`, blocks counted from 1, to tensors with reversed axes. Raises
    `WeightsError` naming every missing, surplus or wrongly shaped tensor.
    """
    return to_ours(parameters, _table(config), parameter_shapes(config), PROGRAM)


def to_julia(state_dict: Mapping[str, Tensor], config: Config | BaselineConfig) -> dict[str, Tensor]:
    """SHA-RNN.jl's parameters from a state_dict of the port; the inverse of `from_julia`, bit for bit.

    Names count blocks from 1, and axes are reversed: a tensor written row by row is the Julia array byte for byte.
    """
    return to_theirs(state_dict, _table(config))


def _table(config: Config | BaselineConfig) -> list[Row]:
    return rows(config) if isinstance(config, Config) else baseline_rows(config)
