"""Any torch module as a subject: compared with a recording of it, or of what it was ported from."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from parity.module.operations import FIRST_OF_STATE, operations_of
from parity.module.segment import Run, Segment, segments
from parity.recording.recording import Recording
from parity.results import Comparison
from parity.subject.gradient_probe import GradientProbe
from parity.subject.scene import Operation, Scene
from parity.subject.scene_recorder import SceneRecorder
from parity.subject.segment_run import stream
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
        """See `Subject.stream`. Tensors that the recording does not hold are skipped."""
        module = self._copy(mode)
        for name, tensor in module.state_dict().items():
            recorded = f"param/{self.run.names.get(name, name)}"
            if recorded in recording.tensors:
                yield TracedTensor(recorded, tensor.detach().clone(), "parameters", exact=True)
        if mode.nudged:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    parameter.copy_(nudge(parameter, mode.nudged, name, UNIT[torch.float32]))
        yield from stream(
            segments(recording), lambda number, state: Segment(self.run, module, recording, mode, number, state)
        )

    def _copy(self, mode: RunMode) -> nn.Module:
        return copy.deepcopy(self.module).to(mode.dtype).eval()

    def _isolated_segment(self, recording: Recording, segment: int) -> Segment:
        """A segment in float64, with the state that isolated runs of the segments before it carry on."""
        module, state = self._copy(TRUTH), None
        for number in range(1, segment):
            before = Segment(self.run, module, recording, TRUTH, number, state)
            before.produce(lambda traced: None)
            state = before.carried
        return Segment(self.run, module, recording, TRUTH, segment, state)

    def parameters_of(self, recording: Recording, comparison: Comparison) -> frozenset[str]:
        """See `Subject.parameters_of`: those of the submodule whose output is compared."""
        path = _path(self.module, self._own_name(comparison))
        inner = self.module.get_submodule(path) if path else None
        names = [] if inner is None else [f"{path}.{name}" for name, _ in inner.named_parameters()]
        return frozenset(f"param/{self.run.names.get(name, name)}" for name in names)

    def gradient_probe(self, recording: Recording, segment: int) -> GradientProbe | None:
        """See `Subject.gradient_probe`."""
        if self.run.loss is None:
            return None
        return self._isolated_segment(recording, segment).gradient_probe()

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """See `Subject.scene`. For the outputs of submodules of torch's own types."""
        if comparison.segment is None or not comparison.tensor_name.is_forward:
            return None
        run = self._isolated_segment(recording, comparison.segment)
        recorder = SceneRecorder(run, {f"parameter {name}": p for name, p in run.model.named_parameters()}, {})
        operations: dict[str, Operation] = {}
        with torch.no_grad():
            run.compute(recorder.note, lambda *call: operations.update(operations_of(*call)))
        for i, x in enumerate(run.inputs):
            recorder.reference[f"input.{i}"] = x.double() if x.is_floating_point() else x
        own, reference = (_with_first_layers(found) for found in (recorder.subject, recorder.reference))
        key = self._own_name(comparison)
        return Scene(operations, reference, {**reference, **own}, {key: comparison.own.tolerance}), key

    def _own_name(self, comparison: Comparison) -> str:
        """The module's name of what is compared."""
        return {theirs: name for name, theirs in self.run.names.items()}.get(comparison.layer, comparison.layer)


def _with_first_layers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, and for every state of one layer that layer by its own key."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        found[name] = tensor
        if tensor.ndim == 3 and tensor.shape[0] == 1:
            found[name + FIRST_OF_STATE] = tensor[0]
    return found


def _path(module: nn.Module, name: str) -> str:
    """The path of the submodule whose output has this name; "" if there is none."""
    parts = name.split(".")
    known = dict(module.named_modules())
    paths = [".".join(parts[:end]).split("#")[0] for end in range(len(parts), 0, -1)]
    return next((path for path in paths if path in known), "")
