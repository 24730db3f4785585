"""A model in float64, and what rounding makes of it: the same model in an export's precision, its last bits nudged."""

import copy
from collections.abc import Iterator

import torch

from export.graph.small_weights import SmallWeights
from export.rounded import round_activations, round_weights
from parity.tolerance import nudge
from sharnn_py.model import SHARNN

RUNS = 16
"""Runs of PyTorch in an export's precision that show what rounding does."""


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
        yield replica
