"""The port, set up to stand in for one recorded model."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.header import model_config, program_of
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
    taken: frozenset[str] | None = None
    """The recorded intermediates that an isolated run takes in place of its own; None for all."""

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
        """Load recorded parameters, nudged if this is a nudged run.

        Under the recording's own semantics every parameter must be there. Under others, a parameter that only the
        port has keeps its fresh value, and one that only the recording has is dropped.
        """
        parameters = by_our_names(self.recording, recorded)
        parameters = {name: nudge(t, self.mode.nudged, name) for name, t in parameters.items()}
        fresh = {name: torch.zeros(shape) for name, shape in parameter_shapes(self.config).items()}
        self.model.load_state_dict({name: parameters.get(name, zero) for name, zero in fresh.items()})

    def recorded_layout(self, ours: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors by the port's parameter names, under the recorded names and in the recorded layout.

        A bias that only the port has is dropped.
        """
        return to_julia(ours, self.config) if self.program == "julia" else to_smerity(ours, self.config, {})

    def parameters(self) -> dict[str, Tensor]:
        """The current parameters in the recorded layout."""
        return self.recorded_layout({name: p.detach() for name, p in self.model.named_parameters()})


def by_our_names(recording: Recording, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Recorded parameters, float32, or what was recorded of each, under the port's names and in its layout."""
    program = program_of(recording)
    config = model_config(recording, PRESETS[program])
    return from_julia(parameters, config) if program == "julia" else from_smerity(parameters, config)


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
