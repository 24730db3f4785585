"""The steps that are recorded as CUDA graphs: one for each number of sequences and size of ring, lent to one state."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from export.serving.step_buffers import Lease, StepBuffers

MOST = 16
"""How many are recorded before all are freed. onnxruntime frees CUDA graphs with their session only."""


class RecordedSteps:
    """Buffers whose step was recorded, by their sizes. What is lent must be used on one thread (`graph_thread`)."""

    def __init__(self) -> None:
        self._recorded: dict[tuple[int, int], tuple[StepBuffers, weakref.ref[Lease]]] = {}

    def lend(
        self,
        sizes: tuple[int, int],
        arrays: Mapping[str, NDArray[Any]],
        create: Callable[[], StepBuffers],
        free: Callable[[], None],
    ) -> Lease:
        """Buffers of these sizes that hold `arrays`: recorded ones, unless another state is using them.

        Those that `create` makes are recorded if there are none. `free` closes the session that has all recordings.
        """
        if sizes in self._recorded:
            buffers, borrower = self._recorded[sizes]
            if borrower() is not None:
                return Lease(create())  # steps of forks side by side are not replayed, and give the same numbers
            buffers.fill(arrays)
        else:
            if len(self._recorded) == MOST:
                if any(borrower() is not None for _, borrower in self._recorded.values()):
                    return Lease(create())
                self._recorded.clear()
                free()
            buffers = create()
            before = buffers.read()
            buffers.record(
                len(self._recorded) + 1,
                lambda: list(buffers.read().values()),
                lambda: buffers.fill(before),
            )
        lease = Lease(buffers)
        self._recorded[sizes] = buffers, weakref.ref(lease)
        return lease
