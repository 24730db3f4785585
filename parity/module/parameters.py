"""A module's parameters as a scene: what the subject holds, against what was recorded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from parity.recording.recording import Recording
from parity.subject.scene import Operation, Scene

GATES: dict[type[nn.Module], str] = {nn.LSTM: "ifco", nn.LSTMCell: "ifco", nn.GRU: "rzn", nn.GRUCell: "rzn"}
"""The gates of torch's layers, in the order of their rows; c is the new cell input, which torch calls g."""


def parameters_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, by their keys."""
    return {
        f"parameter {name}": p.detach().clone() for name, p in (*module.named_parameters(), *module.named_buffers())
    }


def parameter_scene(
    module: nn.Module, recording: Recording, names: Mapping[str, str], compared: str
) -> tuple[Scene, str] | None:
    """The scene that explains the recorded parameter `compared`; None for one that holds no fractions."""
    own = {f"param/{names.get(name, name)}": (name, p.detach()) for name, p in module.state_dict().items()}
    recorded = {key: recording.tensors[key] for key in own if key in recording.tensors}
    recorded = {key: p.double() for key, p in recorded.items() if p.is_floating_point()}
    if compared not in recorded:
        return None
    subject = {key: p.double() for key, (_, p) in own.items() if key in recorded}
    alike = [key for key in recorded if key != compared and _alike(recorded[key], recorded[compared])]
    name = own[compared][0]
    roles = {"x": compared, **{f"other {i}": key for i, key in enumerate(alike)}}
    layer = module.get_submodule(name.rpartition(".")[0])
    gates = next((gates for sort, gates in GATES.items() if isinstance(layer, sort)), "")
    held = {"held": subject[compared], "start": _start(layer, name.rpartition(".")[2])}
    settings = {"gates": gates, **held}
    return Scene({compared: Operation("parameter", roles, settings)}, recorded, subject, {}), compared


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape or (a.ndim == b.ndim == 2 and a.mT.shape == b.shape)


def _start(layer: nn.Module, name: str) -> tuple[str, float] | None:
    """How torch draws a parameter at first: "normal" or "uniform", and its size; None where that is not known."""
    weight = getattr(layer, "weight", None)
    if isinstance(layer, nn.Embedding):
        return "normal", 1.0
    if isinstance(layer, nn.RNNBase):
        return "uniform", float(layer.hidden_size) ** -0.5
    if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)) and isinstance(weight, Tensor):
        fan_in = torch.Size(weight.shape[1:]).numel()
        return "uniform", float(fan_in) ** -0.5
    return None
