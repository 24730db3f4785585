"""The model that an export with small weights stands for, and how far rounded activations take it from that."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from export.graph.small_weights import BITS, SmallWeights, block_size, quantise
from sharnn_py.model import SHARNN, Block

_MATRICES = (".rnn.weight_ih_l0", ".rnn.weight_hh_l0", ".attn.q.weight", ".boom.linear.weight")
"""The parameters (out, in) that `export.fold` transposes, cuts and reorders by rows, and that are stored small. Each
row is rounded by itself, so that to round before folding is the same."""


def round_weights(model: SHARNN, weights: SmallWeights, precision: str) -> SHARNN:
    """A copy of the model in float64 whose weights are what small ones with scales in `precision` stand for."""
    model = copy.deepcopy(model).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(_MATRICES):
                matrix = parameter.numpy().T
                blocks = quantise(matrix, BITS[weights], precision)
                parameter.copy_(torch.from_numpy(blocks.dequantised(len(matrix)).T))
    return model


def round_activations(model: SHARNN, weights: SmallWeights) -> None:
    """Have the model round what enters its products to 8 bits, in blocks, as the CPU does with small weights.

    The LSTM of a segment is not concerned, as its weights are made whole; that of a step is.
    """
    size = block_size(model.config.emb, BITS[weights])

    def entering_linear(layer: nn.Module, entering: tuple[Tensor]) -> tuple[Tensor]:
        return (_to_8_bits(entering[0], size),)

    def entering_lstm(layer: nn.Module, entering: tuple[Tensor, tuple[Tensor, Tensor]]) -> object:
        x, (h, c) = entering
        return (_to_8_bits(x, size), (_to_8_bits(h, size), c)) if len(x) == 1 else None

    for block in model.blocks:
        assert isinstance(block, Block)
        block.boom.linear.register_forward_pre_hook(entering_linear)
        if block.attn is not None:
            block.attn.q.register_forward_pre_hook(entering_linear)
        block.rnn.register_forward_pre_hook(entering_lstm)


def _to_8_bits(x: Tensor, size: int) -> Tensor:
    """x (..., H), each block of `size` numbers rounded to whole multiples of a 127th of its largest."""
    H = x.shape[-1]
    blocks = pad(x, (0, -H % size)).reshape(*x.shape[:-1], -1, size)
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    steps = torch.where(scale > 0, blocks / scale, 0).round()
    whole: Tensor = (steps * scale).flatten(-2)
    return whole[..., :H]
