"""The port, set up to stand in for one recorded model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from parity.errors import RecordingError
from parity.recording.recording import Recording
from parity.sharnn.header import model_config, program_of
from parity.sharnn.names import first_block
from parity.subject.subject import RunMode
from parity.tolerance import nudge
from sharnn_py.config import PRESETS, Config, Program, Semantics
from sharnn_py.model import SHARNN
from sharnn_py.weights import from_julia, from_smerity, to_julia, to_smerity
from sharnn_py.weights.shapes import parameter_shapes


@dataclass
class Port:
    """The port, set up to stand in for one recorded model."""

    recording: Recording
    config: Config
    mode: RunMode
    model: SHARNN

    @property
    def program(self) -> Program:
        return program_of(self.recording)

    @property
    def config_of_recording(self) -> Config:
        """The configuration under the semantics of the program that was recorded."""
        return replace(self.config, semantics=PRESETS[self.program])

    @property
    def has_unrecorded_bias(self) -> bool:
        """Whether only the port's decoder has a bias, under semantics that are not the recording's (row 5)."""
        return self.config.decoder_bias and not self.config_of_recording.decoder_bias

    def load(self, recorded: dict[str, Tensor]) -> None:
        """Take over recorded parameters, nudged if this is a nudged run.

        Under the recording's own semantics every parameter must be there. Under others, a parameter that only the
        port has keeps its fresh value, and one that only the recording has is dropped.
        """
        own = self.config_of_recording
        parameters = from_julia(recorded, own) if self.program == "julia" else from_smerity(recorded, own)
        parameters = {name: nudge(t, self.mode.nudged, name) for name, t in parameters.items()}
        fresh = {name: torch.zeros(shape) for name, shape in parameter_shapes(self.config).items()}
        self.model.load_state_dict({name: parameters.get(name, zero) for name, zero in fresh.items()})

    def recorded_layout(self, ours: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors by the port's parameter names, under the recorded names and in the recorded layout.

        A bias that only the port has is left behind.
        """
        return to_julia(ours, self.config) if self.program == "julia" else to_smerity(ours, self.config, {})

    def parameters(self) -> dict[str, Tensor]:
        """The present parameters in the recorded layout."""
        return self.recorded_layout({name: p.detach() for name, p in self.model.named_parameters()})

    def tokens(self, name: str, config_batch: int) -> Tensor:
        """Recorded ids, from 0. Raises `RecordingError` for ids out of range or a batch the header does not name."""
        ids = self.recording.tensor(name)
        if ids.ndim != 2 or not ids.numel() or ids.is_floating_point():
            raise RecordingError(f"{self.recording.label}: {name} has shape {tuple(ids.shape)}; expected ids (T, B)")
        if ids.shape[1] != config_batch:
            raise RecordingError(
                f"{self.recording.label}: {name} has batch {ids.shape[1]}, but the header's config says {config_batch}"
            )
        ids = ids.long() - first_block(self.program)  # Julia's ids, as its blocks, count from 1
        lowest = -1 if self.program == "julia" and name.endswith("/y") else 0  # label 0 is left out of Julia's loss
        if int(ids.min()) < lowest or int(ids.max()) >= self.config.vocab:
            raise RecordingError(
                f"{self.recording.label}: {name} has ids outside the vocabulary of {self.config.vocab} "
                f"({int(ids.min()) + first_block(self.program)} to {int(ids.max()) + first_block(self.program)})"
            )
        return ids


def build(recording: Recording, semantics: Semantics, mode: RunMode) -> Port:
    """The port of a recorded SHA-RNN with its recorded initial parameters."""
    config = model_config(recording, semantics)
    model = SHARNN(config, torch.Generator().manual_seed(0)).to(mode.dtype).eval()
    port = Port(recording, config, mode, model)
    port.load(recording.group("param/"))
    return port


def shaped_like_loss(loss: Tensor, program: Program) -> Tensor:
    """SHA-RNN.jl's losses are recorded as (1,), Smerity's as scalars."""
    return loss.detach().reshape((1,) if program == "julia" else ())
