"""Replaying recorded optimiser updates, one a segment, with carried state.

As they arrive, updates are one unbroken run from the initial parameters. Forced, each starts from the parameters,
gradients and moments that were recorded before it, where they were, so that a fault shows in the update that has it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.port import Port, build, shaped_like_loss
from parity.sharnn.replay import gradients, in_recorded_order
from parity.subject.subject import RunMode, TracedTensor
from parity.tolerance import nudge
from sharnn_py.config import Semantics
from sharnn_py.lamb import MinTrustLAMB, joint_norm, julia_lamb, paper_lamb
from sharnn_py.model import nll
from sharnn_py.state import State
from sharnn_py.weights import from_julia

MOMENTS = {"fstm": "m", "scndm": "v"}  # SHA-RNN.jl's names, the port's


def optimizer_of(port: Port) -> MinTrustLAMB:
    """The optimiser of the recorded program, with the recorded settings."""
    setting = port.recording.setting
    if port.program == "paper":
        return paper_lamb(
            port.model,
            lr=setting("lr"),
            betas=tuple(setting("betas")),
            eps=setting("eps"),
            weight_decay=setting("weight_decay"),
            min_trust=setting("min_trust"),
            clip=setting("clip"),
        )
    return julia_lamb(
        port.model,
        lr=setting("lr"),
        total_steps=None if setting("t_total") == -1 else setting("t_total"),
        warmup=setting("warmup"),
        schedule_name=setting("schedule"),
    )


def replay_training(recording: Recording, semantics: Semantics, mode: RunMode) -> Iterator[TracedTensor]:
    """The stream of `train/`: one unbroken run, or, forced, every update from what was recorded before it."""
    if recording.count("train") == 0:
        return
    port = build(recording, semantics, mode)
    optimizer = optimizer_of(port)
    source = "eval" if port.program == "julia" else "train"  # where the updates' tokens were recorded
    batch = recording.setting("batch")
    state: State | None = None
    updates = recording.count("train")
    for update in range(1, updates + 1):
        if update > 1 and mode.isolated:
            take_over(port, optimizer, update - 1)
        tokens, targets = (port.tokens(f"{source}/{update}/{name}", batch) for name in "xy")
        with mode.arithmetic(f"update {update}"):
            logits, state = port.model(tokens, state)
            loss = nll(logits, targets)
            ours, _ = gradients(port.model, loss, state)
        yield from _update(port, optimizer, update, loss, ours)

    if port.program == "julia" and "train/loss_after" in recording.tensors:
        if mode.isolated:
            take_over(port, optimizer, updates)
        tokens, targets = (port.tokens(f"eval/1/{name}", batch) for name in "xy")
        with mode.arithmetic("loss after"):
            loss = nll(port.model(tokens, state)[0], targets)
        yield TracedTensor(
            "train/loss_after", shaped_like_loss(loss, port.program), "after the last update", end_to_end_only=True
        )


def take_over(port: Port, optimizer: MinTrustLAMB, update: int) -> None:
    """Continue from what was recorded after `update`."""
    recorded = port.recording.group(f"train/{update}/param/")
    port.load(recorded)
    if port.program != "julia":
        return
    ours = dict(port.model.named_parameters())
    for theirs, key in MOMENTS.items():
        for name, moment in _recorded(port, f"train/{update}/{theirs}/").items():
            optimizer.state[ours[name]][key].copy_(moment)


def _recorded(port: Port, prefix: str) -> dict[str, Tensor]:
    """What was recorded of every parameter under `prefix`, by the port's names, as this run takes it."""
    ours = from_julia(port.recording.group(prefix), port.config_of_recording)
    mode = port.mode
    return {name: nudge(tensor, mode.nudged, f"{prefix}{name}").to(mode.dtype) for name, tensor in ours.items()}


def _update(
    port: Port, optimizer: MinTrustLAMB, update: int, loss: Tensor, ours: dict[str, Tensor]
) -> Iterator[TracedTensor]:
    prefix, place = f"train/{update}/", f"update {update}"
    parameters = dict(port.model.named_parameters())
    yield TracedTensor(f"{prefix}loss", shaped_like_loss(loss, port.program), place, end_to_end_only=True)
    if port.program == "julia":
        for name, gradient in in_recorded_order(port, ours).items():
            yield TracedTensor(f"{prefix}grad/{name}", gradient, f"{place}, gradient of {name}", end_to_end_only=True)
        if port.mode.isolated:
            ours = {**ours, **_recorded(port, f"{prefix}grad/")}
    else:
        of = torch.cat([gradient.flatten() for gradient in ours.values()])
        yield TracedTensor(f"{prefix}grad_norm_before_clip", joint_norm([of]), place, end_to_end_only=True, norm_of=of)
    for name, gradient in ours.items():
        parameters[name].grad = gradient.clone()
    with port.mode.arithmetic(f"{prefix}step"):
        optimizer.step()
    # Smerity's recordings have no gradients of the updates, so these depend on the whole model.
    end_to_end_only = port.program == "paper"
    if port.program == "julia":
        for theirs, key in MOMENTS.items():
            moments = port.recorded_layout({name: optimizer.state[p][key] for name, p in parameters.items()})
            for name, moment in moments.items():
                yield TracedTensor(f"{prefix}{theirs}/{name}", moment.clone(), f"{place}, moment of {name}")
    for name, tensor in port.parameters().items():
        yield TracedTensor(f"{prefix}param/{name}", tensor.clone(), f"{place}, {name}", end_to_end_only=end_to_end_only)
