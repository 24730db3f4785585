"""The scene of a segment of the recorded baseline, SHA-RNN.jl's LSTM language model."""

from __future__ import annotations

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.header import baseline_config
from parity.sharnn.operations import baseline_steps, parameter_key
from parity.subject.scene import Scene
from sharnn_py.baseline import Baseline
from sharnn_py.model import nll
from sharnn_py.weights import from_julia

RECORDED = ("embed", "rnn", "h", "c", "logits", "loss")


def baseline_scene(recording: Recording, segment: int) -> Scene:
    """Every tensor of a segment, each computed from what was recorded before it; ids are counted from 0."""
    config = baseline_config(recording)
    model = Baseline(config).double().eval()
    model.load_state_dict(from_julia(recording.group("param/"), config))
    ids = {name: recording.tensor(f"eval/{segment}/{x}").long() - 1 for name, x in (("tokens", "x"), ("targets", "y"))}
    recorded = {name: recording.tensor(f"eval/{segment}/{name}").double() for name in RECORDED}
    recorded["loss"] = recorded["loss"].reshape(())
    recorded |= {**ids, **{f"after.{part}": recorded[part] for part in ("h", "c")}}
    own: dict[str, Tensor] = {parameter_key(name): p.detach() for name, p in model.named_parameters()}
    state = None
    if segment > 1:
        h, c = (recording.tensor(f"eval/{segment - 1}/{part}").double() for part in ("h", "c"))
        state = (h, c)
        recorded |= {"before.h": h, "before.c": c}

    def note(name: str, tensor: Tensor) -> Tensor:
        own[name] = tensor
        return recorded[name] if recorded[name].shape == tensor.shape else tensor

    with torch.no_grad():
        logits, after = model(ids["tokens"], state, note)
        own["loss"] = nll(logits, ids["targets"])
    own |= {f"after.{part}": tensor for part, tensor in zip(("h", "c"), after, strict=True)}
    return Scene(baseline_steps(config.layers), recorded, own, {})
