"""The scene of a segment of a recorded SHA-RNN: every tensor of it, as recorded and as the port makes it of that."""

from __future__ import annotations

import torch
from torch import Tensor

from parity.recording import Recording
from parity.replay.model import STATE, forced_segment
from parity.replay.steps import parameter_key, segment_steps
from parity.steps import Scene
from sharnn_py.config import Semantics
from sharnn_py.model import nll
from sharnn_py.state import State


def segment_scene(recording: Recording, semantics: Semantics, segment: int) -> Scene:
    """By the keys of `parity.replay.steps`, in the port's layout."""
    run = forced_segment(recording, semantics, segment)
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
        return run.forced(name, tensor)

    with torch.no_grad():
        logits, after = run.port.model(tokens, run.state, note)
        own["loss"] = nll(logits, targets)
    recorded["loss"] = recording.tensor(f"eval/{segment}/loss").double().reshape(())
    none = State.zeros(run.port.config, tokens.shape[1], dtype=torch.float64)
    for i, (before, returned) in enumerate(zip((run.state or none).layers, after.layers, strict=True)):
        for kind, start, end in zip(STATE, before.tensors(), returned.tensors(), strict=True):
            own[f"before.blocks.{i}.{kind}"] = recorded[f"before.blocks.{i}.{kind}"] = start
            own[f"after.blocks.{i}.{kind}"] = end
            keep_recorded(f"after.blocks.{i}.{kind}", f"blocks.{i}.{kind}")
    return Scene(segment_steps(run.port.config), recorded, own, {})
