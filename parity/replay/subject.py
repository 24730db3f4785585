"""The port as a subject of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from parity.backward import Note, Traced
from parity.recording import Recording
from parity.replay.baseline import replay_baseline
from parity.replay.model import STATE, forced_segment, replay
from parity.replay.names import first_block, intermediates
from parity.replay.port import model_config
from parity.replay.steps import parameter_key, parameters_of, segment_steps
from parity.replay.training import replay_training
from parity.results import Comparison
from parity.steps import Scene
from parity.subject import Item, Precision
from sharnn_py.config import PRESETS, Semantics
from sharnn_py.model import nll
from sharnn_py.state import State
from sharnn_py.weights import julia, smerity


@dataclass(frozen=True)
class PortOf:
    """The port of whatever model was recorded, under the given semantics."""

    semantics: Semantics
    label: str

    def stream(self, recording: Recording, precision: Precision) -> Iterator[Item]:
        """See `Subject.stream`."""
        if "param/projection.w" in recording.tensors:
            yield from replay_baseline(recording, precision)
            return
        yield from replay(recording, self.semantics, precision)
        yield from replay_training(recording, self.semantics, precision)

    def parameters_of(self, recording: Recording, comparison: Comparison) -> frozenset[str]:
        """See `Subject.parameters_of`."""
        if "param/projection.w" in recording.tensors:
            return frozenset()
        config = model_config(recording, self.semantics)
        step = segment_steps(config).get(_key(recording, comparison.name))
        taken = set() if step is None else set(parameters_of(step))
        rows = (julia if recording.program == "julia" else smerity).rows(config)
        return frozenset(f"param/{theirs}" for theirs, ours, _ in rows if taken & set(ours))

    def traced(self, recording: Recording, segment: int) -> Traced | None:
        """See `Subject.traced`."""
        if "param/projection.w" in recording.tensors:
            return None
        run = forced_segment(recording, self.semantics, segment)
        tokens, targets = run.tokens()

        def loss(note: Note) -> Tensor:
            logits, _ = run.port.model(tokens, run.state, note)
            return nll(logits, targets)

        def shown(name: str) -> str:
            if name.startswith("parameter "):
                return name
            return run.table[name][0] if run.recorded(name) is not None else f"{name} (of the port)"

        parameters = {f"parameter {name}": p for name, p in run.port.model.named_parameters()}
        return Traced(loss, parameters, lambda name, tensor: run.forced(name, tensor.detach()), shown)

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """See `Subject.scene`."""
        if "param/projection.w" in recording.tensors or comparison.segment is None:
            return None
        key = _key(recording, comparison.name)
        run = forced_segment(recording, self.semantics, comparison.segment)
        steps = segment_steps(run.port.config)
        if key not in steps:
            return None
        tokens, targets = run.tokens()
        own = {parameter_key(name): p.detach() for name, p in run.port.model.named_parameters()}
        recorded = {"tokens": tokens, "targets": targets}

        def note(name: str, tensor: Tensor) -> Tensor:
            own[name] = tensor
            reference = run.recorded(name)
            if reference is not None:
                recorded[name] = reference.double()
            return run.forced(name, tensor)

        with torch.no_grad():
            logits, after = run.port.model(tokens, run.state, note)
            own["loss"] = nll(logits, targets)
        recorded["loss"] = recording.tensor(f"eval/{comparison.segment}/loss").double().reshape(())
        none = State.zeros(run.port.config, tokens.shape[1], dtype=torch.float64)
        for where, state in (("before", run.state or none), ("after", after)):
            for i, layer in enumerate(state.layers):
                for kind, tensor in zip(STATE, layer.tensors(), strict=True):
                    own[f"{where}.blocks.{i}.{kind}"] = tensor
        for name in [name for name in own if name.startswith("after.")]:
            reference = run.recorded(name.removeprefix("after."))
            if reference is not None:
                recorded[name] = reference.double()
        recorded |= {name: tensor for name, tensor in own.items() if name.startswith("before.")}
        return Scene(steps, recorded, own, {key: comparison.own.tolerance}), key


def _key(recording: Recording, name: str) -> str:
    """The key of a compared tensor in `parity.replay.steps`; "" if it has none."""
    config = model_config(recording, PRESETS[recording.program])
    group, _, rest = name.partition("/")
    inner = rest.partition("/")[2]
    if group == "carry":
        _, number, kind = inner.split(".")
        return f"after.blocks.{int(number) - first_block(recording.program)}.{kind}"
    if group != "eval":
        return ""
    inner = inner.removesuffix(".size")
    table = {theirs: ours for ours, (theirs, _) in intermediates(recording.program, config).items()}
    return table.get(inner, inner if inner == "loss" else "")
