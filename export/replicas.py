"""A model in float64, and what rounding makes of it: the same model in an export's precision, its last bits nudged.

Nudged parameters do not show what becomes of a gate that is nearly open or shut. Its sigmoid hardly depends on them,
and torch computes it to the last bit of its value; onnxruntime to some units of 1 (2.8 of 2^-24, and 4.5 for tanh),
even where it is 1e-10. So what comes of the gates of a nudged replica is moved as well, by up to a unit of 1.
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from export.graph.small_weights import SmallWeights
from export.rounded import round_activations, round_weights
from parity.tolerance import nudge
from sharnn_py.layers import Boom
from sharnn_py.model import SHARNN, Block

RUNS = 16
"""Runs of PyTorch in an export's precision that show what rounding does."""


UNIT_OF_1 = 2.0**-24
"""Half the distance from 1 to the next number of float32. In float16 it is below what most numbers show."""


def truth_and_replicas(model: SHARNN, dtype: torch.dtype, weights: SmallWeights | None = None) -> Iterator[SHARNN]:
    """The model in float64, then its replicas in `dtype`, an export's precision: one plain, the others nudged.

    Of an export with small `weights` all have the weights that it stores, and replicas round activations as the CPU
    does. CUDA, which does not, is nearer to the truth than it has to be.
    """
    if weights is not None:
        model = round_weights(model, weights, str(dtype).removeprefix("torch."))
    yield copy.deepcopy(model).double()
    for run in range(RUNS):
        replica = copy.deepcopy(model).to(dtype)
        with torch.no_grad():
            for name, parameter in replica.named_parameters():
                parameter.copy_(nudge(parameter, run, name))
        if weights is not None:
            round_activations(replica, weights)
        if run:
            _approximate(replica, run)
        yield replica


def _approximate(model: SHARNN, run: int) -> None:
    """Have what comes of gates be off at random: every LSTM's h and c, and what GELU lets through to a Boom's sums."""
    for number, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        generator = torch.Generator().manual_seed(1000 * run + number)
        _move_state(block.rnn, generator)
        _move_boom(block.boom, generator)


def _moved(x: Tensor, most: Tensor | float, generator: torch.Generator) -> Tensor:
    noise = torch.empty(x.shape, dtype=torch.float64).uniform_(-1, 1, generator=generator)
    return x + (UNIT_OF_1 * most * noise).to(x.dtype)


def _move_state(lstm: nn.LSTM, generator: torch.Generator) -> None:
    def leaving(layer: nn.Module, entering: object, left: tuple[Tensor, tuple[Tensor, Tensor]]) -> object:
        h, (_, c) = left
        h = _moved(h, 1.0, generator)  # (T, B, H)
        return h, (h[-1:], _moved(c, 1.0, generator))

    lstm.register_forward_hook(leaving)


def _move_boom(boom: Boom, generator: torch.Generator) -> None:
    largest: list[Tensor] = []

    def entering_gelu(layer: nn.Module, entering: object, x: Tensor) -> None:
        largest[:] = [x.abs().amax(-1, keepdim=True)]

    def leaving(layer: nn.Module, entering: object, sums: Tensor) -> Tensor:
        return _moved(sums, largest[0], generator)

    boom.linear.register_forward_hook(entering_gelu)
    boom.register_forward_hook(leaving)
