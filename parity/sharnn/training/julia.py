"""Julia's training, update by update."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from julia_bridge import JuliaTraining, Worker
from parity.sharnn.training.case import Case
from parity.sharnn.training.port import Step
from sharnn_py.weights import from_julia


def julia_steps(case: Case, dtype: torch.dtype, worker: Worker) -> Iterator[Step]:
    """Every update of the reference in Julia, in float32 or float64. Raises what `Worker.call` raises."""
    kind = str(dtype).removeprefix("torch.")
    parameters = {name: array.astype(kind) for name, array in case.parameters.items()}
    config = case.config
    with JuliaTraining(config, parameters, case.rule, worker) as training:
        for segments in case.batches():
            done = training.update(segments)
            steps = [len(segment.tokens) for segment in segments]
            after = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in done.parameters.items()}
            yield Step(float(np.average(done.losses, weights=steps)), from_julia(after, config))
