"""The port as a subject of the suite."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

import torch
from torch import Tensor

from parity.recording.names import TensorName
from parity.recording.recording import Recording
from parity.results import Comparison
from parity.sharnn.baseline import baseline_scene, replay_baseline
from parity.sharnn.header import is_baseline, model_config, program_of
from parity.sharnn.loops import replay_loops
from parity.sharnn.names import first_block, intermediates
from parity.sharnn.operations import parameters_of, segment_operations
from parity.sharnn.port import Port, build
from parity.sharnn.replay import isolated_segment, replay_port
from parity.sharnn.scenes import AFTER, parameter_scene, segment_scene, update_scene
from parity.sharnn.updates import replay_training
from parity.subject.gradient_probe import GradientProbe
from parity.subject.scene import Scene
from parity.subject.segment_run import fingerprints
from parity.subject.subject import RunMode, TracedTensor
from sharnn_py.config import PRESETS, Semantics
from sharnn_py.weights import julia, smerity

NAT = 1.0
"""A loss is a difference of logarithms, and vanishes where the target is certain; they do not."""


@dataclass(frozen=True)
class PortOf:
    """The port of whatever model was recorded, under the given semantics."""

    semantics: Semantics
    label: str
    ports: dict[tuple[torch.dtype, int, bool], Port] = field(default_factory=dict, repr=False, compare=False)
    """The ports of the recording that is being compared: end to end and isolated, a run has one model."""
    loaded: dict[tuple[torch.dtype, int, bool], dict[str, int]] = field(default_factory=dict, repr=False, compare=False)
    """What their parameters were loaded as."""
    taken: frozenset[str] | None = None
    """See `Port.taken`."""

    def stream(self, recording: Recording, mode: RunMode) -> Iterator[TracedTensor]:
        """See `Subject.stream`."""
        for item in self._stream(recording, mode):
            yield replace(item, terms=NAT) if item.name.endswith("/loss") else item

    def _stream(self, recording: Recording, mode: RunMode) -> Iterator[TracedTensor]:
        if is_baseline(recording):
            yield from replay_baseline(recording, mode)
            return
        key = mode.dtype, mode.nudged, mode.again
        if key not in self.ports or self.ports[key].recording is not recording:
            self.ports[key] = build(recording, self.semantics, mode)
            self.loaded[key] = fingerprints(self.ports[key].model)
        elif fingerprints(self.ports[key].model) != self.loaded[key]:
            self.ports[key].load(recording.group("param/"))  # the other run has changed them
        replayed: dict[str, Tensor] = {}
        port = replace(self.ports[key], mode=mode, taken=self.taken)
        for item in chain(replay_port(port), replay_training(recording, self.semantics, mode)):
            if item.name.endswith("/loss") or item.name.startswith("train/"):
                replayed[item.name] = item.tensor
            yield item
        yield from replay_loops(recording, self.semantics, mode, replayed)

    def parameters_of(self, recording: Recording, comparison: Comparison) -> frozenset[str]:
        """See `Subject.parameters_of`."""
        if is_baseline(recording):
            return frozenset()
        config = model_config(recording, self.semantics)
        operation = segment_operations(config).get(_key(recording, comparison.tensor_name))
        taken = set() if operation is None else set(parameters_of(operation))
        rows = (julia if program_of(recording) == "julia" else smerity).rows(config)
        return frozenset(f"param/{theirs}" for theirs, ours, _ in rows if taken & set(ours))

    def gradient_probe(self, recording: Recording, segment: int) -> GradientProbe | None:
        """See `Subject.gradient_probe`."""
        if is_baseline(recording):
            return None
        return isolated_segment(recording, self.semantics, segment).gradient_probe()

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """See `Subject.scene`."""
        name = comparison.tensor_name
        made, _, parameter = name.path.partition("/")
        if name.group == "param":
            scene, key = parameter_scene(recording, self.semantics), comparison.name
        elif name.group == "train" and made in MADE and comparison.segment is not None:
            key = MADE[made]
            scene = update_scene(recording, self.semantics, comparison.segment, parameter, key)
        elif is_baseline(recording) and comparison.segment is not None:
            scene, key = baseline_scene(recording, comparison.segment), comparison.layer
        elif comparison.segment is not None and (key := _key(recording, name)):
            scene = segment_scene(recording, self.semantics, comparison.segment)
        else:
            return None
        return (replace(scene, rounding={key: comparison.own.tolerance}), key) if key in scene.operations else None


MADE = {group: key for key, group in AFTER.items()}
"""The groups of what an update computes, each to the key of the operation."""


def _key(recording: Recording, name: TensorName) -> str:
    """The key of a compared tensor in `parity.sharnn.operations`; "" if it has none."""
    config = model_config(recording, PRESETS[program_of(recording)])
    if name.group == "carry":
        _, number, kind = name.path.split(".")
        return f"after.blocks.{int(number) - first_block(program_of(recording))}.{kind}"
    if not name.is_forward:
        return ""
    if name.path in CUT and config.attention_layers:
        return f"blocks.{config.attention_layers[0]}.memory_in"
    inner = name.path.removesuffix(".size")
    operations = segment_operations(config)
    table = {
        theirs: ours for ours, (theirs, _) in intermediates(program_of(recording), config).items() if ours in operations
    }
    return table.get(inner, inner if inner == "loss" else "")


CUT = ("maxmem", "mem_start_idx")
"""What SHA-RNN.jl computes to cut its memories: where that is wrong, the memory shows how."""
