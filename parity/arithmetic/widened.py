"""Running in float64 also what a model asks to have computed in float32."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Widened(TorchFunctionMode):
    """While it is entered, torch on this thread takes a request for float32 as one for float64.

    Many models compute a norm or a softmax in float32 whatever the rest is in. Left alone, their run in float64 would
    have float32's errors in these places, and no derivative could be had from its differences. Requests for half
    precision are left as they are.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one function of torch."""
        func = Tensor.double if func is Tensor.float else func
        return func(*map(_widened, args), **{key: _widened(value) for key, value in (kwargs or {}).items()})


def _widened(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
