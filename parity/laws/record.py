"""A case of the laws as a recording, for `sharnn parity run --references`: what live Julia computes on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from julia_bridge import Worker
from julia_bridge.sharnn.model import Source
from parity.laws.strategies import Spec
from parity.sharnn.live import Case, record
from sharnn_py.weights import to_julia


def record_case(
    path: str | Path, spec: Spec, segments: Sequence[NDArray[np.int64]], worker: Worker, source: Source = "reference"
) -> None:
    """Write to `path` (.safetensors) what Julia computes of a model on these segments (T, B), from no state.

    The suite then compares the port with it tensor by tensor, and names the first wrong one; a law says only that
    something is wrong. Raises `ConfigError` for a model that Julia does not run: of the paper's semantics, or with
    attention elsewhere than SHA-RNN.jl has it.
    """
    parameters = {name: torch.from_numpy(value) for name, value in spec.parameters().items()}
    pairs = [(torch.from_numpy(ids), torch.from_numpy(np.roll(ids, -1, axis=0))) for ids in segments]
    case = Case(Path(path).stem, spec.config, to_julia(parameters, spec.config), pairs)
    record(case, source, worker, Path(path))
