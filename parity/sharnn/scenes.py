"""The scenes of a recording's parameters and updates, in its own layout and by its own names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.port import Port, build
from parity.sharnn.replay import gradients
from parity.sharnn.update_operations import Part, parameter_step, schedule_factors, update_steps
from parity.sharnn.updates import MOMENTS, optimizer_of, take_over
from parity.subject.scene import Operation, Scene
from parity.subject.subject import RunMode
from sharnn_py.config import Semantics
from sharnn_py.lamb import joint_norm, unclipped_by_julia
from sharnn_py.model import nll
from sharnn_py.state import State
from sharnn_py.weights import from_julia, julia, smerity

TRUTH = RunMode(torch.float64, isolated=True)
GATES = "ifco"


def parameter_scene(recording: Recording, semantics: Semantics) -> Scene:
    """Every parameter as the port loads it and writes it back, under `param/<recorded name>`."""
    port = build(recording, semantics, TRUTH)
    own = {f"param/{name}": tensor for name, tensor in port.parameters().items()}
    recorded = {f"param/{name}": tensor.double() for name, tensor in recording.group("param/").items()}
    recorded = {name: tensor for name, tensor in recorded.items() if name in own}
    steps = {key: _parameter_step(port, key.removeprefix("param/"), recorded) for key in own}
    return Scene(steps, recorded, own, {})


def _parameter_step(port: Port, name: str, recorded: Mapping[str, Tensor]) -> Operation:
    parts = parts_of(port, name)
    biases = {"bias_ih": "bias_hh", "bias_hh": "bias_ih"}
    others = [f"param/{name.replace(one, other)}" for one, other in biases.items() if one in name]
    others = [other for other in others if other in recorded]
    return parameter_step(f"param/{name}", gates=GATES if ".rnn." in name else "", parts=parts, others=others)


def parts_of(port: Port, name: str) -> Sequence[Part]:
    """What a recorded vector of several of the port's parameters is made of; nothing for any other."""
    table = (julia if port.program == "julia" else smerity).rows(port.config_of_recording)
    ours = next((ours for theirs, ours, _ in table if theirs == name), ())
    if len(ours) < 2:
        return ()
    shapes = dict(port.model.named_parameters())
    return [(part.rpartition(".")[2].removesuffix("_l0"), tuple(shapes[part].shape)) for part in ours]


AFTER = {"m_after": "fstm", "v_after": "scndm", "w_after": "param"}
"""What an update makes, to the group of the recording that has it."""


def update_scene(recording: Recording, semantics: Semantics, update: int, name: str, key: str) -> Scene:
    """One update, counted from 1, of the recorded parameter `name`, by the keys of `update_steps`, to explain `key`.

    Of what the update makes, the reference has `key` alone: the optimiser cannot be given the others midway.
    """
    run = _Updates(recording, semantics, update)
    port, before, after = run.port, run.before, run.after
    prefix = f"train/{update}/"
    reference: dict[str, Tensor] = {}
    for made, group in (("g", "grad"), (key, AFTER[key])):
        if f"{prefix}{group}/{name}" in recording.tensors:
            reference[made] = recording.tensors[f"{prefix}{group}/{name}"].double()
    start = "param/" if update == 1 else f"train/{update - 1}/param/"
    reference["w"] = recording.tensor(f"{start}{name}").double()
    for moment, group in (("m", "fstm"), ("v", "scndm")):
        if f"train/{update - 1}/{group}/{name}" in recording.tensors:
            reference[moment] = recording.tensors[f"train/{update - 1}/{group}/{name}"].double()
    subject = {made: tensors[name] for made, tensors in {**before, **after}.items() if name in tensors}
    subject["joint"] = run.joint
    subject["update"] = subject["w"] - subject["w_after"]
    return Scene(_update_steps(port, name, update), reference, subject, {})


def _update_steps(port: Port, name: str, update: int) -> dict[str, Operation]:
    setting = port.recording.setting
    parts = parts_of(port, name)
    if port.program == "paper":
        return update_steps(
            lr=setting("lr"),
            betas=tuple(setting("betas")),
            eps=setting("eps"),
            weight_decay=setting("weight_decay"),
            min_trust=setting("min_trust"),
            step=update,
            clip=setting("clip"),
            jointly=True,
            parts=parts,
        )
    total = None if setting("t_total") == -1 else setting("t_total")
    factor, others = schedule_factors(setting("schedule"), update, total, setting("warmup"))
    one_dimensional = bool(parts) or port.recording.tensor(f"param/{name}").ndim == 1
    return update_steps(
        lr=setting("lr"),
        betas=(0.9, 0.999),
        eps=1e-6,
        weight_decay=1.2e-6 if one_dimensional else 0.0,
        min_trust=0.25,
        step=update,
        clip=None if name in unclipped_by_julia(port.config) else 0.25,
        factor=factor,
        other_factors=others,
        parts=parts,
    )


@dataclass
class _Updates:
    """The port's updates up to one of them, each from what was recorded before it."""

    recording: Recording
    semantics: Semantics
    last: int

    def __post_init__(self) -> None:
        port = self.port = build(self.recording, self.semantics, TRUTH)
        optimizer = optimizer_of(port)
        source = "eval" if port.program == "julia" else "train"
        state: State | None = None
        parameters = dict(port.model.named_parameters())
        for update in range(1, self.last + 1):
            if update > 1:
                take_over(port, optimizer, update - 1)
            batch = self.recording.setting("batch")
            tokens, targets = (port.tokens(f"{source}/{update}/{name}", batch) for name in "xy")
            logits, state = port.model(tokens, state)
            ours, _ = gradients(port.model, nll(logits, targets), state)
            if port.program == "julia":
                recorded = from_julia(self.recording.group(f"train/{update}/grad/"), port.config_of_recording)
                ours = {**ours, **{name: g.double() for name, g in recorded.items()}}
            self.joint = joint_norm(ours.values())
            self.before = {"w": _copied(port.parameters()), "g": _copied(port.recorded_layout(ours))}
            for _, key in MOMENTS.items():
                held = {name: optimizer.state[p].get(key, torch.zeros_like(p)) for name, p in parameters.items()}
                self.before[key] = _copied(port.recorded_layout(held))
            for name, gradient in ours.items():
                parameters[name].grad = gradient.clone()
            optimizer.step()
            self.after = {"w_after": _copied(port.parameters())}
            for _, key in MOMENTS.items():
                held = {name: optimizer.state[p][key] for name, p in parameters.items()}
                self.after[f"{key}_after"] = _copied(port.recorded_layout(held))


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
