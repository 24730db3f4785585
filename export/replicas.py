"""A model in float64, and what rounding makes of it: the same model in an export's precision, its last bits nudged."""

import copy

import torch

from parity.tolerance import nudge
from sharnn_py.model import SHARNN


def truth(model: SHARNN) -> SHARNN:
    """A copy of the model in float64."""
    return copy.deepcopy(model).double()


def replica(model: SHARNN, run: int, dtype: torch.dtype) -> SHARNN:
    """A copy of the model in `dtype`, an export's precision: plain for run 0, else every parameter nudged."""
    copied = copy.deepcopy(model).to(dtype)
    with torch.no_grad():
        for name, parameter in copied.named_parameters():
            parameter.copy_(nudge(parameter, run, name))
    return copied
