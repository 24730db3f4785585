"""The names and shapes of a model's parameters, without building its numbers."""

from __future__ import annotations

from functools import cache

import torch

from sharnn_py.baseline import Baseline, BaselineConfig
from sharnn_py.config import Config
from sharnn_py.model import SHARNN


@cache
def parameter_shapes(config: Config | BaselineConfig) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape, in the order of the forward pass; a tied weight once, as the encoder's."""
    with torch.device("meta"):
        model = SHARNN(config) if isinstance(config, Config) else Baseline(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
