"""The onnxruntime sessions of one export folder: opened when first needed, shared by forks, weights held once."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from onnxruntime import InferenceSession, OrtValue

from export.errors import ExportError, one_of
from export.manifest import SERVING, Manifest
from export.serving.providers import Device, Provider, check_settings, open_session
from sharnn_py.config import Config
from sharnn_py.freed import return_freed_memory

StepPrecision = Literal["exported", "int8"]
"""Which step graph is used: that of the export's own precision, or the int8 one. Segments have the export's own."""


class OnnxSessions:
    """The sessions of one export folder, whose files are verified, on one provider.

    On the CPU onnxruntime packs a copy of the weights, which makes products of many rows up to twice as fast. The
    products of a step of one sequence have one row and read each weight once, so there the weights are used where they
    lie, in the pages of their file, without a copy. Only the graph in use is open, so that a process never holds more
    than one copy; opening the other graph takes as long as about ten steps.
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
    ) -> None:
        check_settings(provider, threads, cuda_graph, device_id, provider_options)
        one_of("precision", precision, get_args(StepPrecision))
        self.manifest = Manifest.load(folder)
        self.manifest.verify(folder, SERVING)
        if precision == "int8" and "step.int8" not in self.manifest.graphs:
            raise ExportError(f"{folder} has no int8 step; export the model with --int8")
        if precision == "int8" and provider != "cpu":
            raise ExportError(f"the int8 step is for the cpu provider, not {provider}")
        self.config = Config.from_json(self.manifest.config)
        self.provider = provider
        self.device = Device("cpu" if provider == "cpu" else "cuda", device_id)
        self._folder, self._threads, self._cuda_graph = folder, threads, cuda_graph
        self._provider_options = provider_options
        self._step = "step.int8" if precision == "int8" else "step"
        # Products of small weights are slow until onnxruntime has packed them, as packing is how it lays them out.
        self._maps = provider == "cpu" and not any(
            at["dtype"] == "uint8" for at in self.manifest.graphs["step"]["weights"]
        )
        self._numbers = itertools.count(1)
        self._open: dict[tuple[str, bool], InferenceSession] = {}

    def segment(self) -> InferenceSession:
        """The session of the `segment` graph."""
        return self._session("segment", mapped=False)

    def step(self, batch: int) -> InferenceSession:
        """The session of the step graph for steps of `batch` sequences."""
        return self._session(self._step, mapped=batch == 1 and self._step == "step" and self._maps)

    def number(self) -> int | None:
        """A number that no CUDA graph has yet; None if steps are not to be CUDA graphs."""
        return next(self._numbers) if self._cuda_graph else None

    def _session(self, graph: str, mapped: bool) -> InferenceSession:
        key = graph, mapped
        if key not in self._open:
            if self.provider == "cpu" and self._open:
                self._open.clear()
                return_freed_memory()
            self._open[key] = open_session(
                self._folder / self.manifest.graphs[graph]["file"],
                self.provider,
                threads=self._threads,
                weights=self._mapped(graph) if mapped else None,
                cuda_graph=self._cuda_graph and graph != "segment",
                device_id=self.device.number,
                provider_options=self._provider_options,
            )
            self.manifest.verify_ports(graph, self._open[key])
        return self._open[key]

    def _mapped(self, graph: str) -> dict[str, OrtValue]:
        """The graph's weights by name, mapped from their file."""
        return {
            at["name"]: OrtValue.ortvalue_from_numpy(
                np.memmap(self._folder / at["file"], at["dtype"], "r", at["offset"], tuple(at["shape"]))
            )
            for at in self.manifest.graphs[graph]["weights"]
        }
