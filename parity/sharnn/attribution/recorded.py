"""What is explained: one set of weights and a series of segments, taken from a recording of either program."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from parity.errors import RecordingError
from parity.recording.recording import Recording
from parity.sharnn.header import model_config, program_of, segment_count
from parity.sharnn.ids import pair
from parity.sharnn.port import by_our_names
from parity.tolerance import nudge
from sharnn_py.config import JULIA, Config, Program, Semantics
from sharnn_py.errors import ConfigError
from sharnn_py.model import SHARNN


@dataclass(frozen=True)
class RecordedRun:
    """The weights and segments of a recorded run. Raises `RecordingError` where they are not there or do not fit."""

    recording: Recording

    @property
    def program(self) -> Program:
        """Whose recording it is."""
        return program_of(self.recording)

    def config(self, semantics: Semantics) -> Config:
        """The recorded model's sizes under these semantics. Raises `ConfigError` where no such model can be."""
        return model_config(self.recording, semantics)

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The recorded parameters under the port's names, float32."""
        return by_our_names(self.recording, self.recording.group("param/"))

    @cached_property
    def _doubles(self) -> dict[str, Tensor]:
        return {name: tensor.double() for name, tensor in self.weights.items()}

    def port(self, semantics: Semantics) -> SHARNN:
        """The port in float64, whose tensors all ports of this run share. A decoder bias that was not recorded is 0."""
        return self._loaded(semantics, self._doubles)

    def float32_port(self, semantics: Semantics, nudged: int = 0) -> SHARNN:
        """A float32 run of the port; 0 is the plain one (`parity.tolerance.nudge`)."""
        return self._loaded(semantics, {name: nudge(tensor, nudged, name) for name, tensor in self.weights.items()})

    def _loaded(self, semantics: Semantics, weights: dict[str, Tensor]) -> SHARNN:
        model = SHARNN(self.config(semantics), torch.Generator().manual_seed(0))
        if model.config.decoder_bias:
            weights = {"decoder.bias": weights["encoder.weight"].new_zeros(model.config.vocab), **weights}
        else:
            weights = {name: tensor for name, tensor in weights.items() if name != "decoder.bias"}
        model.load_state_dict(weights, assign=True)
        return model.eval()

    @cached_property
    def segments(self) -> list[tuple[Tensor, Tensor]]:
        """Inputs and targets, each (T, B), int64 ids from 0, in order; the state is carried from one to the next."""
        count = segment_count(self.recording)
        if not count:
            raise RecordingError(f"{self.recording.label} holds no segments, so there is nothing to explain")
        return [pair(self.recording, number) for number in range(1, count + 1)]


def why_not(recording: Recording) -> str:
    """Why there is nothing to explain of a recording, in words; empty if there is."""
    if recording.is_data:
        return "it is of the data code"
    if "heads" not in recording.config:
        return "it is not of a SHA-RNN"
    if not recording.count("eval"):
        return "it holds no forward passes"
    try:
        model_config(recording, JULIA)
    except ConfigError as error:
        return f"SHA-RNN.jl has no such model: {error}"
    return ""
