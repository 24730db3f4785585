"""The scene of a segment of a recorded SHA-RNN: every tensor of it, as recorded and as the port makes it of that."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.operations import parameter_key, segment_steps
from parity.sharnn.replay import STATE, isolated_segment
from parity.subject.scene import Scene
from sharnn_py.config import Semantics
from sharnn_py.model import nll
from sharnn_py.state import State


def segment_scene(recording: Recording, semantics: Semantics, segment: int) -> Scene:
    """By the keys of `parity.sharnn.operations`, in the port's layout."""
    run = isolated_segment(recording, semantics, segment)
    tokens, targets = run.tokens()
    own = {parameter_key(name): p.detach() for name, p in run.port.model.named_parameters()}
    recorded = {"tokens": tokens, "targets": targets}

    def keep_recorded(key: str, name: str) -> None:
        reference = run.recorded(name)
        if reference is not None:
            recorded[key] = reference.double()

    def note(name: str, tensor: Tensor) -> Tensor:
        own[name] = tensor
        keep_recorded(name, name)
        return run.substitute(name, tensor)

    after: State | None = None
    # A faulty port may stop with an error; what it computed before that is here all the same.
    with torch.no_grad(), suppress(Exception):
        logits, after = run.port.model(tokens, run.state, note)
        own["loss"] = nll(logits, targets)
    recorded["loss"] = recording.tensor(f"eval/{segment}/loss").double().reshape(())
    none = State.zeros(run.port.config, tokens.shape[1], dtype=torch.float64)
    for i, layer in enumerate((run.state or none).layers):
        for kind, start in zip(STATE, layer.tensors(), strict=True):
            own[f"before.blocks.{i}.{kind}"] = recorded[f"before.blocks.{i}.{kind}"] = start
    for i, layer in enumerate(after.layers if after else ()):
        for kind, end in zip(STATE, layer.tensors(), strict=True):
            own[f"after.blocks.{i}.{kind}"] = end
            keep_recorded(f"after.blocks.{i}.{kind}", f"blocks.{i}.{kind}")
    return Scene(segment_steps(run.port.config), recorded, own, {})
