"""The onnxruntime sessions of one export folder: opened when first needed, shared by every fork, weights held once."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Literal

import numpy as np
from onnxruntime import InferenceSession, OrtValue

from export.errors import ExportError
from export.manifest import SERVING, Manifest
from export.providers import Provider, open_session
from sharnn_py.config import Config

Precision = Literal["exported", "int8"]


class Graphs:
    """An export folder, verified, for one provider.

    On the CPU weights are held in one of two ways. For one sequence every product reads each weight once, so the
    graphs share the file's own pages, unpacked: nothing is copied, and a large page of a file is read faster than
    the small ones of a copy. From two sequences on, onnxruntime's packed copies pay for themselves, up to twice; two
    graphs would have two, so only the one in use is open.
    """

    def __init__(
        self, folder: Path, provider: Provider, precision: Precision, threads: int | None, cuda_graph: bool
    ) -> None:
        self.manifest = Manifest.load(folder)
        self.manifest.verify(folder, SERVING)
        if precision == "int8" and "step.int8" not in self.manifest.graphs:
            raise ExportError(f"{folder} has no int8 step; export the model with --int8")
        if precision == "int8" and provider != "cpu":
            raise ExportError(f"the int8 step is for the cpu provider, not {provider}")
        self.config = Config.from_json(self.manifest.config)
        self.provider = provider
        self.device = "cpu" if provider == "cpu" else "cuda"
        self._folder, self._threads, self._cuda_graph = folder, threads, cuda_graph
        self._step = "step.int8" if precision == "int8" else "step"
        self._numbers = itertools.count(1)
        self._open: dict[str, tuple[bool, InferenceSession]] = {}
        self._files: dict[str, np.ndarray[Any, Any]] = {}

    def segment(self, batch: int) -> InferenceSession:
        """For segments of that many sequences."""
        return self._session("segment", packed=batch > 1)

    def step(self, batch: int) -> InferenceSession:
        """For steps of that many sequences."""
        return self._session(self._step, packed=batch > 1 or self._step == "step.int8")

    def number(self) -> int | None:
        """A fresh number for a CUDA graph; None if there are to be none."""
        return next(self._numbers) if self._cuda_graph else None

    def _session(self, graph: str, packed: bool) -> InferenceSession:
        shared = self.provider == "cpu" and not packed
        if graph not in self._open or self._open[graph][0] != shared:
            if self.provider == "cpu":
                for other in [name for name in self._open if name == graph or not (shared and self._open[name][0])]:
                    del self._open[other]
            session = open_session(
                self._folder / self.manifest.graphs[graph]["file"],
                self.provider,
                threads=self._threads,
                prepack=not shared,
                cuda_graph=self._cuda_graph and graph != "segment",
                weights=self._mapped(graph) if shared else None,
            )
            self._open[graph] = shared, session
        return self._open[graph][1]

    def _mapped(self, graph: str) -> dict[str, OrtValue]:
        """The graph's weights where they lie in the file, mapped into memory once for all graphs."""
        entries = self.manifest.graphs[graph]["weights"]
        return {entry["name"]: OrtValue.ortvalue_from_numpy(self._view(entry)) for entry in entries}

    def _view(self, entry: dict[str, Any]) -> np.ndarray[Any, Any]:
        dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        start, size = entry["offset"], int(np.prod(shape)) * dtype.itemsize
        if entry["file"] not in self._files:
            self._files[entry["file"]] = np.memmap(self._folder / entry["file"], np.uint8, "r")
        view: np.ndarray[Any, Any] = self._files[entry["file"]][start : start + size].view(dtype).reshape(shape)
        return view
