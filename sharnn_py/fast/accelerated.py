"""A model with its blocks exchanged for fast ones, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from sharnn_py.fast.attention import attention
from sharnn_py.fast.boom import boom
from sharnn_py.fast.lstm import lstm
from sharnn_py.fast.precision import Precision
from sharnn_py.model import SHARNN, Block
from sharnn_py.state import LayerState
from sharnn_py.trace import Pass, silent


class FastBlock(Block):
    """A block with the parameters and layers of another, that computes the same by other operations.

    Whoever asks for the intermediates, or for the gradient of a memory, gets them from the plain block.
    """

    def __init__(self, plain: Block, precision: Precision) -> None:
        torch.nn.Module.__init__(self)
        self.max_memory, self.precision = plain.max_memory, precision
        self.replaced = (plain,)  # in a tuple, where torch does not take it for a part of this module
        for name in ("lnstart", "rnn", "lnmem", "lnmid", "attn", "lnff", "lnxff", "boom", "dropout"):
            setattr(self, name, getattr(plain, name))
        self.train(plain.training)

    def forward(self, h: Tensor, state: LayerState, note: Pass = silent) -> tuple[Tensor, LayerState]:
        if note is not silent or state.memory.requires_grad or h.device.type != "cpu":
            return self.plain().forward(h, state, note)
        precision = self.precision if self.training else "float32"
        h, h_n, c_n = lstm(self.rnn, self.lnstart(h), state.h, state.c, precision)
        h, memory = self.dropout(h), state.memory
        if self.attn is not None and self.lnmem is not None and self.lnmid is not None:
            new = self.lnmem(h)
            keys = torch.cat([memory, new.detach()])  # (K, B, H)
            memory = keys[-self.max_memory :]
            h = self.lnmid(h)
            h = h + self.dropout(attention(self.attn, h, new, keys, precision))
        h = self.lnff(h) + self.dropout(boom(self.boom, self.lnxff(h), precision))
        return h, LayerState(h_n.detach(), c_n.detach(), memory)

    def plain(self) -> Block:
        """The block that this one replaced, in this one's mode."""
        return self.replaced[0].train(self.training)


def accelerated(model: SHARNN, precision: Precision = "float32") -> SHARNN:
    """Exchange the blocks of `model` for fast ones, in place, and return it.

    The parameters are the very same objects under the same names: optimisers, checkpoints and `state_dict` do not
    notice. The same numbers are computed up to rounding, and dropout draws the same. With `precision` "bf16" the
    products of a training step are in bfloat16 (`sharnn_py.fast.Precision`); in evaluation mode never. On a model
    that is accelerated already, this sets the precision. On a device that is not a CPU nothing changes.
    """
    for i, block in enumerate(plain(model).blocks):
        if isinstance(block, Block):
            model.blocks[i] = FastBlock(block, precision)
    return model


def plain(model: SHARNN) -> SHARNN:
    """Exchange fast blocks for those that they replaced, in place, and return the model."""
    for i, block in enumerate(model.blocks):
        if isinstance(block, FastBlock):
            model.blocks[i] = block.plain()
    return model
