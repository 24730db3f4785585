"""The scenes of a recording: of a segment in the port's layout, of parameters and updates in the recording's own."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.operations import parameter_key, segment_operations
from parity.sharnn.port import Port, build
from parity.sharnn.replay import isolated_segment, parts_of_state
from parity.sharnn.update_operations import Part, parameter_operation, schedule_factors, update_operations
from parity.sharnn.updates import MOMENTS, Training, paper_settings, scheduled_updates
from parity.subject.scene import Operation, Scene
from parity.subject.scene_recorder import SceneRecorder
from parity.subject.subject import RunMode
from sharnn_py.config import Semantics
from sharnn_py.lamb import joint_norm, unclipped_by_julia
from sharnn_py.state import State
from sharnn_py.weights import julia, smerity

TRUTH = RunMode(torch.float64, isolated=True)
GATES = "ifco"


def segment_scene(recording: Recording, semantics: Semantics, segment: int) -> Scene:
    """Every tensor of a segment, as recorded and as the port computes it from that; keys as in `operations`."""
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
    return recorder.scene(segment_operations(run.port.config))


def parameter_scene(recording: Recording, semantics: Semantics) -> Scene:
    """Every parameter as the port loads it and writes it back, under `param/<recorded name>`."""
    port = build(recording, semantics, TRUTH)
    own = {f"param/{name}": tensor for name, tensor in port.parameters().items()}
    recorded = {f"param/{name}": tensor.double() for name, tensor in recording.group("param/").items()}
    recorded = {name: tensor for name, tensor in recorded.items() if name in own}
    operations = {key: _parameter_operation(port, key.removeprefix("param/"), recorded) for key in own}
    return Scene(operations, recorded, own, {})


def _parameter_operation(port: Port, name: str, recorded: Mapping[str, Tensor]) -> Operation:
    parts = parts_of(port, name)
    biases = {"bias_ih": "bias_hh", "bias_hh": "bias_ih"}
    others = [f"param/{name.replace(one, other)}" for one, other in biases.items() if one in name]
    others = [other for other in others if other in recorded]
    return parameter_operation(f"param/{name}", gates=GATES if ".rnn." in name else "", parts=parts, others=others)


def parts_of(port: Port, name: str) -> Sequence[Part]:
    """What a recorded vector of several of the port's parameters is made of; nothing for any other."""
    table = (julia if port.program == "julia" else smerity).rows(port.config_of_recording)
    ours = next((ours for theirs, ours, _ in table if theirs == name), ())
    if len(ours) < 2:
        return ()
    shapes = dict(port.model.named_parameters())
    return [(part.rpartition(".")[2].removesuffix("_l0"), tuple(shapes[part].shape)) for part in ours]


AFTER = {"m_after": "fstm", "v_after": "scndm", "w_after": "param"}
"""The keys of what an update computes, each to the group of the recording that has it."""


def update_scene(recording: Recording, semantics: Semantics, update: int, name: str, key: str) -> Scene:
    """One update, counted from 1, of the recorded parameter `name`, to explain `key` of `update_operations`.

    Of what the update computes, the reference has `key` alone: the optimiser cannot be given the others midway.
    """
    port, prefix = build(recording, semantics, TRUTH), f"train/{update}/"
    training = Training(port)
    for number in range(1, update + 1):
        gradients = training.isolated_gradients(number, training.backward(number)[1])
        before = {"w": _copied(port.parameters()), "g": _copied(port.recorded_layout(gradients))}
        before |= {moment: _copied(training.moments(moment)) for moment in MOMENTS.values()}
        training.update(gradients)
    after = {f"{moment}_after": training.moments(moment) for moment in MOMENTS.values()}
    reference: dict[str, Tensor] = {}
    for made, group in (("g", "grad"), (key, AFTER[key])):
        if f"{prefix}{group}/{name}" in recording.tensors:
            reference[made] = recording.tensors[f"{prefix}{group}/{name}"].double()
    start = "param/" if update == 1 else f"train/{update - 1}/param/"
    reference["w"] = recording.tensor(f"{start}{name}").double()
    for group, moment in MOMENTS.items():
        if f"train/{update - 1}/{group}/{name}" in recording.tensors:
            reference[moment] = recording.tensors[f"train/{update - 1}/{group}/{name}"].double()
    all_of_it = {**before, "w_after": port.parameters(), **after}
    subject = {made: tensors[name].detach() for made, tensors in all_of_it.items() if name in tensors}
    subject["joint"] = joint_norm(gradients.values())
    subject["update"] = subject["w"] - subject["w_after"]
    return Scene(_operations_of_update(port, name, update), reference, subject, {})


def _operations_of_update(port: Port, name: str, update: int) -> dict[str, Operation]:
    setting = port.recording.setting
    parts = parts_of(port, name)
    if port.program == "paper":
        return update_operations(**paper_settings(port.recording), update=update, jointly=True, parts=parts)
    total = scheduled_updates(port.recording)
    factor, others = schedule_factors(setting("schedule"), update, total, setting("warmup"))
    one_dimensional = bool(parts) or port.recording.tensor(f"param/{name}").ndim == 1
    return update_operations(
        lr=setting("lr"),
        betas=(0.9, 0.999),
        eps=1e-6,
        weight_decay=1.2e-6 if one_dimensional else 0.0,
        min_trust=0.25,
        update=update,
        clip=None if name in unclipped_by_julia(port.config) else 0.25,
        factor=factor,
        other_factors=others,
        parts=parts,
    )


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
