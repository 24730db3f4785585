"""How each program initialises a new model (row 7 of docs/semantics.md)."""

import math

import torch
from torch import nn

from sharnn_py.config import Program
from sharnn_py.layers import LayerNorm


@torch.no_grad()
def initialise(model: nn.Module, program: Program, emb: int, generator: torch.Generator | None) -> None:
    """Draw every weight in place and zero every bias. `emb` is H.

    `qs`, `ks` and `vs` are zero in both programs, as constructed.
    """
    for module in model.modules():
        if isinstance(module, nn.LSTM):
            (_lstm_julia if program == "julia" else _lstm_torch)(module, generator)
        elif isinstance(module, (nn.Linear, nn.Embedding)):
            # SHA-RNN.jl divides by the root of the weight's second axis, which for an embedding is V.
            fan = module.weight.shape[0] if isinstance(module, nn.Embedding) else module.weight.shape[1]
            module.weight.normal_(0.0, 0.1 / math.sqrt(fan if program == "julia" else emb), generator=generator)
            if isinstance(module, nn.Linear):
                module.bias.zero_()
        elif isinstance(module, LayerNorm) and program == "paper":
            module.weight.normal_(0.0, 0.1 / math.sqrt(emb), generator=generator)


def _lstm_julia(lstm: nn.LSTM, generator: torch.Generator | None) -> None:
    """Draw as Knet's RNN does: each gate's matrix Xavier uniform, both forget biases 1, all other biases 0."""
    for name, parameter in lstm.named_parameters():
        gates = parameter.chunk(4)  # i f g o, each (H, X), (H, H) or (H,)
        if name.startswith("weight"):
            for gate in gates:
                bound = math.sqrt(6 / sum(gate.shape))
                gate.uniform_(-bound, bound, generator=generator)
        else:
            parameter.zero_()
            gates[1].fill_(1.0)


def _lstm_torch(lstm: nn.LSTM, generator: torch.Generator | None) -> None:
    """Draw as torch does by default: everything uniform within 1 / sqrt(hidden)."""
    bound = 1 / math.sqrt(lstm.hidden_size)
    for parameter in lstm.parameters():
        parameter.uniform_(-bound, bound, generator=generator)
