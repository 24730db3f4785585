"""Any torch module as a subject: held against a recording of it, or of what it was ported from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from parity.module.operations import FIRST_OF_STATE, steps_of
from parity.module.segment import Run, Segment, segments
from parity.recording.recording import Recording
from parity.results import Comparison
from parity.subject.gradient_probe import GradientProbe, Note
from parity.subject.lockstep import lockstep
from parity.subject.scene import Operation, Scene
from parity.subject.subject import RunMode, TracedTensor
from parity.tolerance import UNIT, nudge

TRUTH = RunMode(torch.float64, isolated=True)


@dataclass(frozen=True)
class ModuleSubject:
    """A torch module, run in evaluation mode on the inputs that were recorded."""

    module: nn.Module
    run: Run

    @property
    def label(self) -> str:
        """What it is, for reports."""
        return f"torch module {type(self.module).__qualname__}"

    def stream(self, recording: Recording, mode: RunMode) -> Iterator[TracedTensor]:
        """See `Subject.stream`. What the recording does not hold is left out."""
        module = self._copy(mode)
        for name, tensor in module.state_dict().items():
            recorded = f"param/{self.run.names.get(name, name)}"
            if recorded in recording.tensors:
                yield TracedTensor(recorded, tensor.detach().clone(), "parameters", exact=True)
        if mode.nudged:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    parameter.copy_(nudge(parameter, mode.nudged, name, UNIT[torch.float32]))
        state: Any = None
        for segment in range(1, segments(recording) + 1):
            run = Segment(self.run, module, recording, mode, segment, state)
            yield from lockstep(run.rounded, lambda item: item.tensor.nbytes)
            state = run.carried

    def _copy(self, mode: RunMode) -> nn.Module:
        return copy.deepcopy(self.module).to(mode.dtype).eval()

    def _forced_segment(self, recording: Recording, segment: int) -> Segment:
        """A segment in float64, with the state that forced runs of those before it carry on."""
        module, state = self._copy(TRUTH), None
        for number in range(1, segment):
            before = Segment(self.run, module, recording, TRUTH, number, state)
            before.produce(lambda item: None)
            state = before.carried
        return Segment(self.run, module, recording, TRUTH, segment, state)

    def parameters_of(self, recording: Recording, comparison: Comparison) -> frozenset[str]:
        """See `Subject.parameters_of`: those of the submodule whose output is compared."""
        ours = {theirs: name for name, theirs in self.run.names.items()}.get(comparison.layer, comparison.layer)
        path = _path(self.module, ours)
        inner = self.module.get_submodule(path) if path else None
        names = [] if inner is None else [f"{path}.{name}" for name, _ in inner.named_parameters()]
        return frozenset(f"param/{self.run.names.get(name, name)}" for name in names)

    def gradient_probe(self, recording: Recording, segment: int) -> GradientProbe | None:
        """See `Subject.gradient_probe`."""
        if self.run.loss is None:
            return None
        run = self._forced_segment(recording, segment)
        loss = self.run.loss

        def run_with(note: Note) -> Tensor:
            return loss(run.outputs(note)[0])

        parameters = {f"parameter {name}": p for name, p in run.module.named_parameters()}
        return GradientProbe(run_with, parameters, lambda name, x: run.substitute(name, x.detach()), lambda name: name)

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """See `Subject.scene`. For the outputs of submodules of torch's own types."""
        if comparison.segment is None or not comparison.tensor_name.is_forward:
            return None
        run = self._forced_segment(recording, comparison.segment)
        own = {f"parameter {name}": p.detach() for name, p in run.module.named_parameters()}
        reference: dict[str, Tensor] = {}
        steps: dict[str, Operation] = {}

        def note(name: str, tensor: Tensor) -> Tensor:
            recorded = run.recorded(name)
            _keep(own, name, tensor.detach())
            if recorded is not None:
                _keep(reference, name, recorded.double())
            return run.substitute(name, tensor)

        with torch.no_grad():
            run.outputs(note, lambda *call: steps.update(steps_of(*call)))
        for i, x in enumerate(run.inputs):
            _keep(reference, f"input.{i}", x.double() if x.is_floating_point() else x)
        key = {theirs: name for name, theirs in self.run.names.items()}.get(comparison.layer, comparison.layer)
        return Scene(steps, reference, {**reference, **own}, {key: comparison.own.tolerance}), key


def _keep(tensors: dict[str, Tensor], name: str, tensor: Tensor) -> None:
    tensors[name] = tensor
    if tensor.ndim == 3 and tensor.shape[0] == 1:
        tensors[name + FIRST_OF_STATE] = tensor[0]


def _path(module: nn.Module, name: str) -> str:
    """The path of the submodule whose output has this name; "" if there is none."""
    parts = name.split(".")
    known = dict(module.named_modules())
    paths = [".".join(parts[:end]).split("#")[0] for end in range(len(parts), 0, -1)]
    return next((path for path in paths if path in known), "")
