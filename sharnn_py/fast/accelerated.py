"""A model with its blocks exchanged for fast ones, and back."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from sharnn_py.baseline import Baseline
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
        nn.Module.__init__(self)
        self.max_memory, self.precision = plain.max_memory, precision
        self.replaced = (plain,)  # in a tuple, where torch does not take it for a part of this module
        for name in ("lnstart", "rnn", "lnmem", "lnmid", "attn", "lnff", "lnxff", "boom", "dropout"):
            setattr(self, name, getattr(plain, name))
        self.train(plain.training)

    def forward(self, h: Tensor, state: LayerState, note: Pass = silent) -> tuple[Tensor, LayerState]:
        if note is not silent or state.memory.requires_grad or h.device.type != "cpu":
            return self.plain().forward(h, state, note)
        precision = self.precision if self.training else "float32"
        h, (h_n, c_n) = lstm(self.rnn, self.lnstart(h), (state.h[None], state.c[None]), precision)
        h, memory = self.dropout(h), state.memory
        if self.attn is not None and self.lnmem is not None and self.lnmid is not None:
            new = self.lnmem(h)
            keys = torch.cat([memory, new.detach()])  # (K, B, H)
            memory = keys[-self.max_memory :]
            h = self.lnmid(h)
            h = h + self.dropout(attention(self.attn, h, new, keys, precision))
        h = self.lnff(h) + self.dropout(boom(self.boom, self.lnxff(h), precision))
        return h, LayerState(h_n[0].detach(), c_n[0].detach(), memory)

    def plain(self) -> Block:
        """The block that this one replaced, in this one's mode."""
        return self.replaced[0].train(self.training)


class FastLSTM(nn.Module):
    """In the place of a baseline's `nn.LSTM`, with its parameters under their names."""

    def __init__(self, plain: nn.LSTM, precision: Precision) -> None:
        super().__init__()
        self.precision, self.replaced = precision, (plain,)
        for name, parameter in plain.named_parameters():
            self.register_parameter(name, parameter)
        self.train(plain.training)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        narrow = self.training and x.device.type == "cpu"
        return lstm(self.plain(), x, state, self.precision if narrow else "float32")

    def plain(self) -> nn.LSTM:
        """The LSTM that this one replaced, in this one's mode."""
        return self.replaced[0].train(self.training)


Model = TypeVar("Model", bound=SHARNN | Baseline)


def accelerated(model: Model, precision: Precision = "float32") -> Model:
    """Exchange the blocks of `model`, or the LSTM of a baseline, for fast ones, in place, and return the model.

    The parameters are the very same objects under the same names: optimisers, checkpoints and `state_dict` do not
    notice. The same numbers are computed up to rounding, and dropout draws the same. With `precision` "bf16" the
    products of a training step are in bfloat16 (`sharnn_py.fast.Precision`); in evaluation mode never. On a model
    that is accelerated already, this sets the precision. On a device that is not a CPU nothing changes.
    """
    plain(model)
    if isinstance(model, Baseline):
        model.add_module("rnn", FastLSTM(model.rnn, precision))
    else:
        for i, block in enumerate(model.blocks):
            if isinstance(block, Block):
                model.blocks[i] = FastBlock(block, precision)
    return model


def plain(model: Model) -> Model:
    """Exchange what is fast in a model for what it replaced, in place, and return the model."""
    if isinstance(model, Baseline):
        rnn: nn.Module = model.rnn
        if isinstance(rnn, FastLSTM):
            model.rnn = rnn.plain()
    else:
        for i, block in enumerate(model.blocks):
            if isinstance(block, FastBlock):
                model.blocks[i] = block.plain()
    return model
