"""The onnxruntime sessions of one export folder: opened when first needed, shared by forks, weights held once."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, OrtValue

from export.errors import ExportError, one_of
from export.manifest import SERVING, Manifest
from export.serving.graph_thread import on_graph_thread
from export.serving.places import placed
from export.serving.private_copy import PrivateCopy
from export.serving.providers import Device, Provider, check_settings, open_session
from export.serving.recorded_steps import RecordedSteps
from export.serving.run_errors import in_a_sentence
from export.serving.step_buffers import Lease, StepBuffers
from export.serving.step_inputs import GIVEN
from sharnn_py.config import Config
from sharnn_py.errors import SharnnError
from sharnn_py.freed import return_freed_memory
from sharnn_py.vocabulary import Vocabulary

P = ParamSpec("P")
R = TypeVar("R")

StepPrecision = Literal["exported", "int8"]
"""Which step graph is used: that of the export's own precision, or the int8 one. Segments have the export's own."""


class OnnxSessions:
    """The sessions of one export folder, whose files are verified, on one provider.

    On the CPU onnxruntime packs a copy of the weights, which makes products of many rows up to twice as fast. The
    products of a step of one sequence have one row and read each weight once, so there the weights are used where they
    lie, in the pages of their file, without a copy. Only the graph in use is open, so that a process never holds more
    than one copy; opening the other graph takes as long as about ten steps. With `together` graphs stay open once they
    were used. All files are a `PrivateCopy`.
    """

    def __init__(
        self,
        folder: Path,
        provider: Provider,
        precision: StepPrecision,
        threads: int | None,
        cuda_graph: bool,
        device_id: int = 0,
        provider_options: Mapping[str, object] | None = None,
        *,
        together: bool = False,
    ) -> None:
        check_settings(provider, threads, cuda_graph, device_id, provider_options)
        one_of("precision", precision, get_args(StepPrecision))
        self.manifest = Manifest.load(folder)
        serving = [name for name, entry in self.manifest.files.items() if entry["for"] == SERVING]
        self.files = PrivateCopy(folder, serving)
        with self._telling_of_the_original():
            self.manifest.verify(self.files.folder, SERVING)
        if precision == "int8" and "step.int8" not in self.manifest.graphs:
            raise ExportError(f"{folder} has no int8 step; export the model with --int8")
        if precision == "int8" and provider != "cpu":
            raise ExportError(f"the int8 step is for the cpu provider, not {provider}")
        self.config = Config.from_json(self.manifest.config)
        self.provider = provider
        self.device = Device("cpu" if provider == "cpu" else "cuda", device_id)
        self._threads, self.cuda_graph, self._together = threads, cuda_graph, together
        self._provider_options = provider_options
        self._step = "step.int8" if precision == "int8" else "step"
        # Products of small weights are slow until onnxruntime has packed them, as packing is how it lays them out.
        small = any(at["dtype"] == "uint8" for at in self.manifest.graphs["step"]["weights"])
        self._maps = provider == "cpu" and not small
        self._recorded = RecordedSteps()
        self._lock = threading.RLock()
        self._open: dict[tuple[str, bool], InferenceSession] = {}

    def vocabulary(self) -> Vocabulary | None:
        """The export's vocabulary; None if the model was saved without one."""
        listed = self.files.folder / "vocabulary.json"
        return Vocabulary.load(listed) if listed.name in self.manifest.files else None

    def segment(self) -> InferenceSession:
        """The session of the `segment` graph."""
        return self._session("segment", mapped=False)

    def step(self, batch: int) -> InferenceSession:
        """The session of the step graph for steps of `batch` sequences."""
        return self._session(self._step, mapped=batch == 1 and self._step == "step" and self._maps)

    def moving(self, graph: Literal["to_ring", "to_memory"]) -> InferenceSession:
        """The session of a graph that changes the form of a state."""
        return self._session(graph, mapped=False)

    @property
    def weights_held(self) -> int:
        """Bytes of the weights of the graphs that are open, but for those that are used where their file lies."""
        with self._lock:
            return sum(self.manifest.bytes_of_weights(graph) for graph, mapped in self._open if not mapped)

    def buffers(self, sizes: tuple[int, int], arrays: Mapping[str, NDArray[Any]]) -> Lease:
        """Buffers for steps that begin with `arrays`, of these numbers of sequences and slots."""

        def create() -> StepBuffers:
            given = {name: array for name, array in arrays.items() if name in GIVEN}
            state = {name: placed(array, self.device) for name, array in arrays.items() if name not in GIVEN}
            return StepBuffers(self.step(sizes[0]), given, state, self.config.vocab, self.device)

        if not self.cuda_graph:
            return Lease(create())
        return self._recorded.lend(sizes, arrays, create, free=lambda: self._close(self._step))

    def call(self, method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `method` returns or raises, called on the thread that this export's sessions have to run on.

        An error of onnxruntime is a `ProviderError`.
        """
        with in_a_sentence(self.provider):
            return on_graph_thread(method, *args, **kwargs) if self.cuda_graph else method(*args, **kwargs)

    def _session(self, graph: str, mapped: bool) -> InferenceSession:
        key = graph, mapped
        with self._lock:
            if key not in self._open:
                if self.provider == "cpu" and self._open and not self._together:
                    self._open.clear()
                    return_freed_memory()
                with self._telling_of_the_original():
                    self._open[key] = open_session(
                        self.files.folder / self.manifest.graphs[graph]["file"],
                        self.provider,
                        threads=self._threads,
                        weights=self._mapped(graph) if mapped else None,
                        cuda_graph=self.cuda_graph and graph == self._step,
                        device_id=self.device.number,
                        provider_options=self._provider_options,
                    )
                    self.manifest.verify_ports(graph, self._open[key])
            return self._open[key]

    @contextlib.contextmanager
    def _telling_of_the_original(self) -> Iterator[None]:
        try:
            yield
        except SharnnError as error:
            raise type(error)(self.files.told_as_original(str(error))) from error

    def _close(self, graph: str) -> None:
        with self._lock:
            for key in [key for key in self._open if key[0] == graph]:
                del self._open[key]

    def _mapped(self, graph: str) -> dict[str, OrtValue]:
        """The graph's weights by name, mapped from their file."""
        return {
            at["name"]: OrtValue.ortvalue_from_numpy(
                np.memmap(self.files.folder / at["file"], at["dtype"], "r", at["offset"], tuple(at["shape"]))
            )
            for at in self.manifest.graphs[graph]["weights"]
        }
