"""Sequences with carried state on an export folder, by onnxruntime. No torch is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Concatenate

import numpy as np
from numpy.typing import NDArray

from export.serving.feeding import feed
from export.serving.onnx_sessions import OnnxSessions, P, R, StepPrecision
from export.serving.providers import Provider
from export.serving.ring import Slots, slots_needed
from export.serving.segment_state import Layers, SegmentState, check_layers, zeros
from export.serving.step_state import StepState, arrays_of
from sharnn_py.freed import return_freed_memory
from sharnn_py.session import Arrays, Logits, SequenceSession
from sharnn_py.state_file import StateFile, read_state, write_state
from sharnn_py.vocabulary import Vocabulary


def _on_its_thread(method: Callable[Concatenate[Session, P], R]) -> Callable[Concatenate[Session, P], R]:
    """`method`, on the thread that the export's graphs have to run on, if there is one.

    The session's lock is the caller's, who waits for the method: it must not ask for it.
    """

    @wraps(method)
    def call(self: Session, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._graphs.call(method, self, *args, **kwargs)

    return call  # type: ignore[return-value]  # wraps() makes of the method an object with a named self


class Session(SequenceSession):
    """B sequences with carried state on an export folder, by onnxruntime.

    Segments and steps keep the memory in different forms, both on the device. Changing from one to the other, as
    generation does once, after the prompt, copies the memory to the host and back.
    """

    def __init__(self, graphs: OnnxSessions, vocabulary: Vocabulary | None, batch: int = 1) -> None:
        """Begin B = `batch` sequences; users call `load`."""
        super().__init__(graphs.config, vocabulary)
        self._graphs = graphs
        self._state: SegmentState | StepState
        self.reset(batch)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        provider: Provider = "cpu",
        precision: StepPrecision = "exported",
        *,
        threads: int | None = None,
        cuda_graph: bool = False,
        device_id: int = 0,
        provider_options: Mapping[str, object] | None = None,
    ) -> Session:
        """A new session of one sequence on the export in `folder`, as `sharnn export` wrote it.

        The provider asked for is the one used. With `precision` "int8" steps are computed in int8, which needs the cpu
        provider and an export with `--int8`; segments are computed in the export's own precision. `threads` is the
        number of threads within an operator, by default onnxruntime's choice. With `cuda_graph` steps are replayed as a
        CUDA graph, after a replay was seen to give the same numbers.

        On a GPU, `device_id` says which one, and `provider_options` are onnxruntime's own of the provider, by name, as
        {"gpu_mem_limit": 2 << 30, "arena_extend_strategy": "kSameAsRequested", "use_tf32": True,
        "user_compute_stream": address}; of them only `use_tf32` has another default here, False.

        Raises `ConfigError` for settings out of range or that do not go together; `ExportError` for a folder that is
        not an export, was changed since, or has no int8 step; `ProviderError` naming what the provider lacks.
        """
        graphs = OnnxSessions(Path(folder), provider, precision, threads, cuda_graph, device_id, provider_options)
        graphs.segment()  # so that a provider which is missing is an error here, not at the first token
        return cls(graphs, graphs.vocabulary())

    @property
    def batch(self) -> int:
        """Number of sequences, B."""
        return self._state.batch

    @property
    def provider(self) -> Provider:
        """Where every node runs: "cpu", "cuda" or "tensorrt"."""
        return self._graphs.provider

    @property
    def identity(self) -> str:
        """The identity of the exported model (`sharnn_py.identity`)."""
        return self._graphs.manifest.model

    @_on_its_thread
    def _feed_segment(self, tokens: NDArray[np.int64]) -> Logits:
        logits, self._state = feed(self._graphs, self._carried(), tokens)
        return logits

    @_on_its_thread
    def _feed_step(self, tokens: NDArray[np.int64]) -> Logits:
        return self._stepping().step(tokens)

    @_on_its_thread
    def _begin(self, batch: int) -> None:
        self._place(zeros(self.config, batch))

    @_on_its_thread
    def _copy(self) -> Session:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        if isinstance(self._state, StepState):
            other._place(self._state.layers(), self._state.slots.next)
        return other

    def _write(self, path: str | Path, vocabulary: str | None) -> None:
        continuation = self._continuation
        if continuation is not None and isinstance(self._state, StepState):
            continuation = replace(continuation, slot=self._state.slots.next)
        write_state(path, self._layers(), self.identity, vocabulary, continuation)

    def _read(self, path: str | Path) -> StateFile:
        return read_state(path)

    @_on_its_thread
    def _continue_from(self, layers: Layers, slot: int | None) -> None:
        check_layers(layers, self.config)
        self._place(layers, slot)

    def state(self) -> Layers:
        """Every block's h (B, H), c (B, H) and memory (M, B, H), copied to the host in the export's precision."""
        with self._lock:
            return self._layers()

    def _arrays(self) -> list[Arrays]:
        return list(self._layers())

    @_on_its_thread
    def _layers(self) -> Layers:
        return self._state.layers() if isinstance(self._state, StepState) else self._state.layers(self.config)

    def set_state(self, layers: Layers) -> None:
        """Continue from `layers`, as `state` returns them, in any floating-point type; B becomes theirs.

        Raises `InputError`, with the session as it was, if it is not a state of this model.
        """
        with self._lock:
            self._continue_from(layers, None)
            self._continuation = None

    def _place(self, layers: Layers, slot: int | None = None) -> None:
        precision = self._graphs.manifest.precision
        self._state = SegmentState.place(layers, self.config, precision, self._graphs.device, slot)

    def _carried(self) -> SegmentState:
        """The state in the form that segments take, converted if need be."""
        if isinstance(self._state, StepState):
            self._place(self._state.layers())
        assert isinstance(self._state, SegmentState)
        return self._state

    def _stepping(self) -> StepState:
        """The state in the form that steps take, with a slot free to write, converted or grown if need be."""
        if isinstance(self._state, StepState) and not self._state.slots.must_grow(self.config):
            return self._state
        stepping = self._ring(self._layers(), None if isinstance(self._state, StepState) else self._state.slot)
        self._state = stepping
        return_freed_memory()  # of a segment graph, which the previous state kept alive
        return stepping

    def _ring(self, layers: Layers, slot: int | None) -> StepState:
        """`layers` in the form that steps take, with slot `slot` to be written next where any may be."""
        rows = max(layer[2].shape[0] for layer in layers)
        capacity = slots_needed(self.config, rows, self._graphs.manifest.capacity)
        slots = Slots.holding(self.config, rows, capacity, slot)
        batch = layers[0][0].shape[0]
        lock_step = self._graphs.manifest.lock_step
        lease = self._graphs.buffers((batch, capacity), arrays_of(layers, self.config, slots, lock_step))
        return StepState(lease, self.config, batch, slots, lock_step)
