"""A model in float64, and what rounding makes of it: the same model in an export's precision, its last bits nudged."""

import copy
from collections.abc import Iterator

import torch

from export.graph.small_weights import SmallWeights
from export.rounded import round_activations, round_weights
from parity.tolerance import nudge
from sharnn_py.model import SHARNN

<<<<<<< HEAD

def truth(model: SHARNN, dtype: torch.dtype, weights: SmallWeights | None = None) -> SHARNN:
    """A copy of the model in float64, with the weights that an export in `dtype` stores, where `weights` are small."""
    if weights is None:
        return copy.deepcopy(model).double()
    return round_weights(model, weights, str(dtype).removeprefix("torch."))


def replica(model: SHARNN, run: int, dtype: torch.dtype, weights: SmallWeights | None = None) -> SHARNN:
    """A copy of the model in `dtype`, an export's precision: plain for run 0, else every parameter nudged.

    With small `weights` it has these, and rounds activations as the CPU does. CUDA, which does not, is nearer to the
    truth than it has to be.
    """
    copied = truth(model, dtype, weights).to(dtype) if weights else copy.deepcopy(model).to(dtype)
    if weights:
        round_activations(copied, weights)
    with torch.no_grad():
        for name, parameter in copied.named_parameters():
            parameter.copy_(nudge(parameter, run, name))
    return copied
=======
RUNS = 8
"""Runs of PyTorch in an export's precision that show what rounding does."""


def truth_and_replicas(model: SHARNN, dtype: torch.dtype) -> Iterator[SHARNN]:
    """The model in float64, then its replicas in `dtype`, an export's precision: one plain, the others nudged."""
    yield copy.deepcopy(model).double()
    for run in range(RUNS):
        replica = copy.deepcopy(model).to(dtype)
        with torch.no_grad():
            for name, parameter in replica.named_parameters():
                parameter.copy_(nudge(parameter, run, name))
        yield replica
>>>>>>> refs/heads/main
