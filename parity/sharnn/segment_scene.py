"""The scene of a segment of a recorded SHA-RNN: every tensor of it, as recorded and as the port makes it of that."""

from __future__ import annotations

from contextlib import suppress

import torch

from parity.recording.recording import Recording
from parity.sharnn.operations import parameter_key, segment_steps
from parity.sharnn.replay import isolated_segment, parts_of_state
from parity.subject.scene import Scene
from parity.subject.scene_recorder import SceneRecorder
from sharnn_py.config import Semantics
from sharnn_py.state import State


def segment_scene(recording: Recording, semantics: Semantics, segment: int) -> Scene:
    """By the keys of `parity.sharnn.operations`, in the port's layout."""
    run = isolated_segment(recording, semantics, segment)
    tokens, targets = run.ids
    parameters = {parameter_key(name): p for name, p in run.model.named_parameters()}
    recorder = SceneRecorder(run, parameters, {"tokens": tokens, "targets": targets})
    after: State | None = None
    # A faulty port may stop with an error; what it computed before that is here all the same.
    with torch.no_grad(), suppress(Exception):
        recorder.subject["loss"], after = run.compute(recorder.note)
    recorder.reference["loss"] = recording.tensor(f"eval/{segment}/loss").double().reshape(())
    before = run.state or State.zeros(run.port.config, tokens.shape[1], dtype=torch.float64)
    for i, kind, tensor in parts_of_state(before):
        recorder.begin(f"before.blocks.{i}.{kind}", tensor)
    for i, kind, tensor in parts_of_state(after) if after else ():
        recorder.keep(f"after.blocks.{i}.{kind}", tensor, f"blocks.{i}.{kind}")
    return recorder.scene(segment_steps(run.port.config))
