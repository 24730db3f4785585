"""Recording a step as a CUDA graph, which is used only after its replay has given the same numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import RunOptions

from export.errors import ProviderError

_NO_GRAPH = -1  # onnxruntime's number for a run outside every graph


def capture(
    run: Callable[[RunOptions], None],
    read: Callable[[], Sequence[NDArray[Any]]],
    restore: Callable[[], None],
    graph: int,
) -> RunOptions:
    """Record `run` as the CUDA graph numbered `graph` and return the options under which `run` replays it.

    Recording runs the step several times, and each run overwrites the state, so it is made what it was by `restore`
    each time. Raises `ProviderError` unless a replay gives, bit for bit, the logits and state of a plain run, as copied
    to the host by `read`.
    """

    def results(options: RunOptions) -> Sequence[NDArray[Any]]:
        restore()
        run(options)
        return read()

    plain, replay = plainly(), _options(graph)
    expected = results(plain)
    results(replay)  # records
    replayed = results(replay)
    restore()
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
