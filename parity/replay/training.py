"""Replaying recorded optimiser updates, one a segment, with carried state.

Twice: update by update, each from the recorded parameters (and moments, where they were recorded) before it, so
that a fault shows in the update that has it; and as one unbroken run from the initial parameters.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from parity.recording import Recording
from parity.replay import Item, Precision
from parity.replay.model import Port, build, gradients, in_recorded_order, shaped_like_loss
from parity.tolerance import nudge
from sharnn_py.config import Semantics
from sharnn_py.lamb import MinTrustLAMB, joint_norm, julia_lamb, paper_lamb
from sharnn_py.model import nll
from sharnn_py.state import State
from sharnn_py.weights import from_julia

UNBROKEN = "unbroken run"
MOMENTS = {"fstm": "m", "scndm": "v"}  # SHA-RNN.jl's names, the port's


def replay_training(recording: Recording, semantics: Semantics, precision: Precision) -> Iterator[Item]:
    """The stream of `train/`, first update by update, then unbroken."""
    if recording.count("train") == 0:
        return
    yield from _updates(recording, semantics, precision, unbroken=False)
    yield from _updates(recording, semantics, precision, unbroken=True)


def _optimizer(port: Port) -> MinTrustLAMB:
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


def _updates(recording: Recording, semantics: Semantics, precision: Precision, unbroken: bool) -> Iterator[Item]:
    port = build(recording, semantics, precision)
    optimizer = _optimizer(port)
    run = UNBROKEN if unbroken else ""
    source = "eval" if port.program == "julia" else "train"  # where the updates' tokens were recorded
    batch = recording.setting("batch")
    state: State | None = None
    updates = recording.count("train")
    for update in range(1, updates + 1):
        if update > 1 and not unbroken:
            _take_over(port, optimizer, update - 1)
        tokens, targets = (port.tokens(f"{source}/{update}/{name}", batch) for name in "xy")
        logits, state = port.model(tokens, state)
        loss = nll(logits, targets)
        ours, _ = gradients(port.model, loss, state)
        yield from _update(port, optimizer, update, loss, ours, run)

    if port.program == "julia" and "train/loss_after" in recording.tensors:
        if not unbroken:
            _take_over(port, optimizer, updates)
        tokens, targets = (port.tokens(f"eval/1/{name}", batch) for name in "xy")
        loss = nll(port.model(tokens, state)[0], targets)
        yield Item("train/loss_after", shaped_like_loss(loss, port.program), "after the last update", run=run)


def _take_over(port: Port, optimizer: MinTrustLAMB, update: int) -> None:
    """Continue from what was recorded after `update`."""
    recorded = port.recording.group(f"train/{update}/param/")
    port.load(recorded)
    if port.program != "julia":
        return
    ours = dict(port.model.named_parameters())
    for theirs, key in MOMENTS.items():
        moments = from_julia(port.recording.group(f"train/{update}/{theirs}/"), port.config_of_recording)
        for name, moment in moments.items():
            nudged = nudge(moment, port.precision.nudged, f"{theirs} {name}")
            optimizer.state[ours[name]][key].copy_(nudged)


def _update(
    port: Port, optimizer: MinTrustLAMB, update: int, loss: Tensor, ours: dict[str, Tensor], run: str
) -> Iterator[Item]:
    prefix, place = f"train/{update}/", f"update {update}"
    parameters = dict(port.model.named_parameters())
    yield Item(f"{prefix}loss", shaped_like_loss(loss, port.program), place, run=run)
    if port.program == "julia":
        for name, gradient in in_recorded_order(port, ours).items():
            yield Item(f"{prefix}grad/{name}", gradient, f"{place}, gradient of {name}", run=run)
    for name, gradient in ours.items():
        parameters[name].grad = gradient.clone()
    if port.program == "paper":
        yield Item(f"{prefix}grad_norm_before_clip", joint_norm(ours.values()), place, run=run)
    optimizer.step()
    if port.program == "julia":
        for theirs, key in MOMENTS.items():
            moments = port.recorded_layout({name: optimizer.state[p][key] for name, p in parameters.items()})
            for name, moment in moments.items():
                yield Item(f"{prefix}{theirs}/{name}", moment.clone(), f"{place}, moment of {name}", run=run)
    for name, tensor in port.parameters().items():
        yield Item(f"{prefix}param/{name}", tensor.clone(), f"{place}, {name}", run=run)
