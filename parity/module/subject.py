"""Any torch module as a subject: compared with a recording of it, or of what it was ported from."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from parity.module.attributes import other_settings
from parity.module.parameters import parameter_scene, parameters_of
from parity.module.segment import Run, Segment, segments
from parity.module.trace import Tracer
from parity.recording.recording import HALF, Recording
from parity.results import Comparison
from parity.subject.gradient_probe import GradientProbe
from parity.subject.scene import Scene
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
        """See `Subject.stream`. What the recording does not hold is left out."""
        module = self.copied(mode)
        for name, tensor in module.state_dict().items():
            theirs, layout = self.run.entry(name)
            if f"param/{theirs}" in recording.tensors:
                found = layout.to_recorded(tensor.detach().clone())
                yield from self.run.terms.applied([TracedTensor(f"param/{theirs}", found, "parameters", exact=True)])
        if mode.nudged:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    parameter.copy_(nudge(parameter, mode.nudged, name, UNIT[torch.float32]))
        items = stream(
            segments(recording), lambda number, state: Segment(self.run, module, recording, mode, number, state)
        )
        yield from self.run.terms.applied(items)

    def copied(self, mode: RunMode) -> nn.Module:
        """A copy of the module that computes as a run does."""
        module = copy.deepcopy(self.module).eval()
        if mode.dtype in HALF and any(parameter.dtype == mode.dtype for parameter in module.parameters()):
            return module  # it says itself which part of it is in half precision
        return module.to(mode.dtype)

    def _forced_segment(self, recording: Recording, segment: int) -> Segment:
        """A segment in float64, with the state that isolated runs of those before it carry on."""
        module, state = self.copied(TRUTH), None
        for number in range(1, segment):
            before = Segment(self.run, module, recording, TRUTH, number, state)
            before.produce(lambda item: None)
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
        return self._forced_segment(recording, segment).gradient_probe()

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """See `Subject.scene`. For parameters, and for whatever a forward pass computes."""
        if comparison.tensor_name.group == "param":
            return parameter_scene(self.module, recording, self.run.names, comparison.name)
        if comparison.segment is None or not comparison.tensor_name.is_forward:
            return None
        run = self._forced_segment(recording, comparison.segment)
        recorder = SceneRecorder(run, parameters_of(run.model), {})
        recorder.reference |= self._recorded_parameters(recording, recorder.subject)
        tracer = Tracer(run.model, recorder)
        # A faulty port may stop with an error; what it computed before that is here all the same.
        with torch.no_grad(), suppress(Exception):
            run.compute(tracer.note, tracer)
        for key, x in run.inputs:
            recorder.reference[f"input.{key}"] = x.double() if x.is_floating_point() else x
        key = self._own_name(comparison)
        subject = {**recorder.reference, **recorder.subject}
        rounding = {key: comparison.own.tolerance}
        unmatched = self._unmatched(recording, comparison.segment, subject)
        reruns = self._reruns(recording, comparison.segment, key, run.model)
        return Scene(tracer.operations, recorder.reference, subject, rounding, reruns, unmatched), key

    def _reruns(
        self, recording: Recording, segment: int, key: str, module: nn.Module
    ) -> dict[tuple[str, str], Callable[[], Tensor]]:
        """The module run again with attributes that are set otherwise, by words."""
        found: dict[tuple[str, str], Callable[[], Tensor]] = {}
        for path, others in other_settings(module, key):
            own = module.get_submodule(path)
            does, has = (
                ", ".join(f"{path}.{n} = {v}".lstrip(".") for n, v in values.items())
                for values in (others, {n: getattr(own, n) for n in others})
            )
            found[f"has {does}", has] = partial(self._rerun, recording, segment, key, path, others)
        return found

    def _rerun(self, recording: Recording, segment: int, key: str, path: str, others: Mapping[str, object]) -> Tensor:
        run = self._forced_segment(recording, segment)
        changed = run.model.get_submodule(path)
        for name, value in others.items():
            setattr(changed, name, value)
        recorder = SceneRecorder(run, {}, {})
        try:
            with torch.no_grad():
                run.compute(recorder.note)
        except Exception as error:
            if key not in recorder.subject:
                raise ValueError("the module cannot be run so") from error
        return recorder.subject[key]

    def _unmatched(self, recording: Recording, segment: int, known: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What was recorded of a segment and the subject computes nothing of, by the module's names."""
        ours = {theirs: name for name, theirs in self.run.names.items()}
        prefix = f"eval/{segment}/"
        found = {ours.get(name, name): t for name, t in recording.group(prefix).items()}
        return {name: t.double() for name, t in found.items() if name not in known and t.is_floating_point()}

    def _recorded_parameters(self, recording: Recording, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The recorded parameters that have the shape of the subject's, by the keys of these."""
        found = {}
        for key, tensor in own.items():
            name = key.removeprefix("parameter ")
            theirs, layout = self.run.entry(name)
            recorded = recording.tensors.get(f"param/{theirs}")
            recorded = None if recorded is None else layout.to_ours(recorded)
            if recorded is not None and recorded.shape == tensor.shape:
                found[key] = recorded.double() if recorded.is_floating_point() else recorded
        return found

    def _own_name(self, comparison: Comparison) -> str:
        """The module's name of what is compared."""
        return {theirs: name for name, theirs in self.run.names.items()}.get(comparison.layer, comparison.layer)


def _path(module: nn.Module, name: str) -> str:
    """The path of the submodule whose output has this name; "" if there is none."""
    parts = name.split(".")
    known = dict(module.named_modules())
    paths = [".".join(parts[:end]).split("#")[0] for end in range(len(parts), 0, -1)]
    return next((path for path in paths if path in known), "")
