"""Recording a step as a CUDA graph, which is used only after its replay has given the same numbers."""

from collections.abc import Callable, Sequence

import numpy as np
from onnxruntime import OrtValue, RunOptions

from export.errors import ProviderError

_NO_GRAPH = -1  # onnxruntime's number for a run outside every graph


def capture(run: Callable[[RunOptions], None], state: Sequence[OrtValue], logits: OrtValue, graph: int) -> RunOptions:
    """Record `run` as the CUDA graph numbered `graph` and return the options under which `run` replays it.

    Recording runs the step several times, and each run overwrites `state`, so it is restored after each. Raises
    `ProviderError` unless a replay gives, bit for bit, the logits and state of a plain run.
    """
    before = [np.array(value.numpy()) for value in state]

    def results(options: RunOptions) -> list[np.ndarray]:
        for value, array in zip(state, before, strict=True):
            value.update_inplace(array)
        run(options)
        return [np.array(value.numpy()) for value in (logits, *state)]

    plain, replay = plainly(), _options(graph)
    expected = results(plain)
    results(replay)  # records
    replayed = results(replay)
    for value, array in zip(state, before, strict=True):
        value.update_inplace(array)
    if not all(np.array_equal(a, b) for a, b in zip(expected, replayed, strict=True)):
        raise ProviderError(
            "a step replayed as a CUDA graph gives other numbers than a plain run; load without CUDA graphs"
        )
    return replay


def plainly() -> RunOptions:
    """Options under which a run neither records a CUDA graph nor replays one."""
    return _options(_NO_GRAPH)


def _options(graph: int) -> RunOptions:
    options = RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options
