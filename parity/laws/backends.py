"""The laws' interface on everything here that runs a SHA-RNN: PyTorch, onnxruntime, Julia."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from export.exporter import export_checkpoint
from export.serving.session import Session as OnnxSession
from julia_bridge import JuliaModel, JuliaState, Worker
from julia_bridge.sharnn.model import LayerArrays, Source
from parity.laws.backend import Array, Backend, Layers
from sharnn_py.checkpoint import save_checkpoint
from sharnn_py.config import Config
from sharnn_py.model import SHARNN
from sharnn_py.state import LayerState, State
from sharnn_py.state_file import read_state, write_state
from sharnn_py.torch_session import TorchSession
from sharnn_py.weights import to_julia

Parameters = Mapping[str, Array]
S = TypeVar("S", bound="SessionBackend")


def model_of(config: Config, parameters: Parameters) -> SHARNN:
    """The PyTorch model with these parameters."""
    model = SHARNN(config)
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in parameters.items()})
    return model.eval()


class SessionBackend(Backend):
    """A back end whose sequences are those of a session (`sharnn_py.session`)."""

    session: Any

    def start(self, batch: int) -> None:
        self.session.reset(batch)

    def fork(self: S) -> S:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.session = self.session.fork()
        return other

    def save(self, path: Path) -> None:
        self.session.save_state(path)

    def load(self, path: Path) -> None:
        self.session.load_state(path, unidentified=True)  # as Julia's are


class TorchBackend(SessionBackend):
    """PyTorch, in float32 or float64."""

    session: TorchSession

    def __init__(self, config: Config, parameters: Parameters, dtype: Any = np.float32) -> None:
        self.config, self.dtype = config, dtype
        kind = {np.float32: torch.float32, np.float64: torch.float64}[dtype]
        self.session = TorchSession(model_of(config, parameters).to(kind))

    def feed(self, tokens: NDArray[np.int64]) -> Array:
        with torch.no_grad():
            logits, self.session.state = self.session.model(torch.from_numpy(tokens), self.session.state)
        found: Array = logits.numpy()
        return found

    def read(self) -> Layers:
        return [tuple(t.numpy().copy() for t in layer.tensors()) for layer in self.session.state.layers]

    def write(self, layers: Layers) -> None:
        made = (LayerState(*(torch.from_numpy(a.astype(self.dtype)) for a in layer)) for layer in layers)
        self.session.state = State(tuple(made))

    def reorder(self, rows: Sequence[int]) -> None:
        self.session.state = self.session.state[list(rows)]


def exported(config: Config, parameters: Parameters) -> Path:
    """The folder of a new export of this model, in a temporary folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="sharnn-laws-"))
    save_checkpoint(model_of(config, parameters), folder / "checkpoint")
    export_checkpoint(folder / "checkpoint", folder / "export")
    return folder / "export"


class OnnxBackend(SessionBackend):
    """An export on onnxruntime: by its `segment` graph, by its `step` graph and ring, or by either: single steps by
    `step` and longer segments by `segment`, with the state moved from one to the other."""

    session: OnnxSession

    def __init__(
        self, config: Config, parameters: Parameters, by: Literal["segment", "step", "either"] = "either"
    ) -> None:
        self.config, self.by, self.steps_only = config, by, by == "step"
        self.folder = exported(config, parameters)
        self.session = OnnxSession.load(self.folder, threads=1)
        weakref.finalize(self.session._graphs, shutil.rmtree, self.folder.parent)  # every fork opens graphs from it

    def feed(self, tokens: NDArray[np.int64]) -> Array:
        if self.by == "step" or (self.by == "either" and len(tokens) == 1):
            return np.stack([self.session.step(row) for row in tokens])
        return self.session.prefill(tokens)

    def read(self) -> Layers:
        return list(self.session.state())

    def write(self, layers: Layers) -> None:
        self.session.set_state(layers)

    def fed_by(self, by: Literal["segment", "step", "either"]) -> OnnxBackend:
        """A fork of the same export that is fed by these graphs."""
        other = self.fork()
        other.by, other.steps_only = by, by == "step"
        return other


class JuliaBackend(Backend):
    """SHA-RNN in live Julia. Its state is the caller's: Julia is given it with each segment, and returns the next."""

    def __init__(self, config: Config, parameters: Parameters, worker: Worker, source: Source = "reference") -> None:
        self.config = config
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in parameters.items()}
        ours = {name: tensor.numpy() for name, tensor in to_julia(tensors, config).items()}
        self.model = JuliaModel(source, config, ours, worker)
        self.state: JuliaState
        self.start(1)

    def start(self, batch: int) -> None:
        h, none = np.zeros((batch, self.config.emb), np.float32), np.zeros((0, batch, self.config.emb), np.float32)
        self.write([(h, h, none)] * self.config.layers)

    def feed(self, tokens: NDArray[np.int64]) -> Array:
        output = self.model.run(tokens, np.full_like(tokens, -1), self.state)
        self.state = output.state
        return np.array(output.logits)

    def read(self) -> Layers:
        return [(np.array(layer.h), np.array(layer.c), np.array(layer.memory)) for layer in self.state.layers]

    def write(self, layers: Layers) -> None:
        made = (LayerArrays(*(np.ascontiguousarray(a, np.float32) for a in layer)) for layer in layers)
        self.state = JuliaState(tuple(made))

    def fork(self) -> JuliaBackend:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def save(self, path: Path) -> None:
        write_state(path, self.read())

    def load(self, path: Path) -> None:
        self.write(read_state(path).layers)
