"""The recorded baseline, SHA-RNN.jl's LSTM language model: replaying it, and the scene of a segment of it."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.header import baseline_config, segment_count
from parity.sharnn.ids import pair
from parity.sharnn.operations import baseline_operations, parameter_key
from parity.subject.gradient_probe import Note
from parity.subject.scene import Scene
from parity.subject.scene_recorder import SceneRecorder
from parity.subject.segment_run import SAME, Layout, SegmentRun, gradients, stream
from parity.subject.subject import RunMode, TracedTensor
from parity.tolerance import nudge
from sharnn_py.baseline import Baseline
from sharnn_py.model import nll
from sharnn_py.weights import from_julia, to_julia

State = tuple[Tensor, Tensor]
"""h and c, each (L, B, H)."""
STATE = ("h", "c")
"""The names that they were recorded under."""


class Segment(SegmentRun):
    """One segment of the baseline, whose tensors were recorded as they are and under their own names."""

    def entry(self, name: str) -> tuple[str, Layout]:
        return name, SAME

    def compute(self, note: Note) -> tuple[Tensor, State]:
        tokens, targets = pair(self.recording, self.number)
        logits, after = self.model(tokens, self.state, note)
        return nll(logits, targets), after

    def run(self) -> None:
        """Emit every tensor of the segment."""
        loss, after = self.compute(self.note)
        attached = any(tensor.requires_grad for tensor in after)
        self.carried = after
        self.emit(TracedTensor(f"eval/{self.number}/loss", loss.detach().reshape(1), self.place))
        found, _ = gradients(self.model, loss, keep_graph=attached)
        for name, gradient in reversed(to_julia(found, baseline_config(self.recording)).items()):
            self.emit(self.parameter_gradient(name, gradient))


def _model(recording: Recording, mode: RunMode) -> Baseline:
    config = baseline_config(recording)
    model = Baseline(config).to(mode.dtype).eval()
    parameters = from_julia(recording.group("param/"), config)
    model.load_state_dict({name: nudge(tensor, mode.nudged, name) for name, tensor in parameters.items()})
    return model


def replay_baseline(recording: Recording, mode: RunMode) -> Iterator[TracedTensor]:
    """The stream of `eval/`, `grad/`, `param/` and `rnnparam/`."""
    model = _model(recording, mode)
    yield from stream(segment_count(recording), partial(Segment, model, recording, mode))
    for name, tensor in to_julia(model.state_dict(), model.config).items():
        yield TracedTensor(f"param/{name}", tensor, "parameters", exact=True)
    yield from _knet_pieces(model)


def baseline_scene(recording: Recording, segment: int) -> Scene:
    """Every tensor of a segment, each computed from what was recorded before it; ids are counted from 0."""
    mode = RunMode(torch.float64, isolated=True)
    model = _model(recording, mode)
    before = None
    if segment > 1:
        before = tuple(recording.tensor(f"eval/{segment - 1}/{part}").double() for part in STATE)
    run = Segment(model, recording, mode, segment, before)
    parameters = {parameter_key(name): p for name, p in model.named_parameters()}
    recorder = SceneRecorder(run, parameters, dict(zip(("tokens", "targets"), pair(recording, segment), strict=True)))
    for part, tensor in zip(STATE, before or (), strict=False):
        recorder.begin(f"before.{part}", tensor)
    with torch.no_grad():
        recorder.subject["loss"], after = run.compute(recorder.note)
    recorder.reference["loss"] = recording.tensor(f"eval/{segment}/loss").double().reshape(())
    for part, tensor in zip(STATE, after, strict=True):
        recorder.keep(f"after.{part}", tensor, part)
    return recorder.scene(baseline_operations(model.config.layers))


def _knet_pieces(model: Baseline) -> Iterator[TracedTensor]:
    """Every gate's matrix and bias under Knet's numbering: w1..w4 from the input, w5..w8 from the state."""
    for layer in range(model.config.layers):
        for kind, letter in (("weight", "w"), ("bias", "b")):
            for first, side in ((1, "ih"), (5, "hh")):
                gates = getattr(model.rnn, f"{kind}_{side}_l{layer}").detach().chunk(4)
                for number, gate in enumerate(gates, start=first):
                    name = f"rnnparam/layer{layer + 1}/{letter}{number}"
                    yield TracedTensor(name, gate, f"LSTM layer {layer + 1}, gate {'ifco'[number - first]}", exact=True)
