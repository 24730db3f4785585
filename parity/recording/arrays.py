"""Arrays of any program's as tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.errors import UsageError


def as_tensor(name: str, value: Any) -> Tensor:
    """A copy of a tensor, an array or a number. Raises `UsageError` for what torch has no element type for."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    try:
        if not hasattr(value, "__array__"):
            return torch.as_tensor(value)
        array = np.asarray(value)
        if array.dtype.name == "bfloat16":  # of ml_dtypes, which NumPy itself does not know
            return torch.from_numpy(np.array(array.view(np.int16), order="C")).view(torch.bfloat16)
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"{type(value).__module__}.{type(value).__qualname__}"
        raise UsageError(f"{name} is a {what}: give a tensor, or an array of numbers ({error})") from error
