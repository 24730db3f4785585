"""Replaying recorded optimiser updates, one a segment, with carried state.

End to end, updates are one unbroken run from the initial parameters. Isolated, each starts from the parameters,
gradients and moments that were recorded before it, where they were, so that a fault shows in the update that has it.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.ids import pair
from parity.sharnn.port import Port, build, by_our_names, shaped_like_loss
from parity.sharnn.replay import in_recorded_order, port_gradients
from parity.subject.subject import RunMode, TracedTensor
from parity.tolerance import nudge
from sharnn_py.config import Semantics
from sharnn_py.lamb import MinTrustLAMB, joint_norm, julia_lamb, paper_lamb
from sharnn_py.model import nll
from sharnn_py.state import State

MOMENTS = {"fstm": "m", "scndm": "v"}  # SHA-RNN.jl's names, the port's


def optimizer_of(port: Port) -> MinTrustLAMB:
    """The optimiser of the recorded program, with the recorded settings."""
    setting = port.recording.setting
    if port.program == "paper":
        return paper_lamb(port.model, **paper_settings(port.recording))
    total = scheduled_updates(port.recording)
    return julia_lamb(
        port.model, lr=setting("lr"), total_steps=total, warmup=setting("warmup"), schedule_name=setting("schedule")
    )


def paper_settings(recording: Recording) -> dict[str, Any]:
    """The recorded settings of Smerity's optimiser."""
    names = ("lr", "eps", "weight_decay", "min_trust", "clip")
    return {**{name: recording.setting(name) for name in names}, "betas": tuple(recording.setting("betas"))}


def scheduled_updates(recording: Recording) -> int | None:
    """How many updates SHA-RNN.jl's schedule has; None where there is no schedule."""
    total: int = recording.setting("t_total")
    return None if total == -1 else total


class Training:
    """A port's updates, one a segment. Isolated, each starts from what was recorded before it."""

    def __init__(self, port: Port) -> None:
        self.port, self.optimizer = port, optimizer_of(port)
        self.parameters = dict(port.model.named_parameters())
        self.state: State | None = None

    def backward(self, update: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss before an update, and its gradients by the port's names."""
        port = self.port
        if update > 1 and port.mode.isolated:
            self.take_over(update - 1)
        tokens, targets = pair(port.recording, update, "eval" if port.program == "julia" else "train")
        with port.mode.arithmetic(f"update {update}"):
            logits, self.state = port.model(tokens, self.state)
            loss = nll(logits, targets)
            return loss, port_gradients(port.model, loss, self.state)[0]

    def take_over(self, update: int) -> None:
        """Continue from what was recorded after `update`."""
        self.port.load(self.port.recording.group(f"train/{update}/param/"))
        if self.port.program == "julia":
            for theirs, key in MOMENTS.items():
                for name, moment in self._recorded(f"train/{update}/{theirs}/").items():
                    self.optimizer.state[self.parameters[name]][key].copy_(moment)

    def isolated_gradients(self, update: int, ours: dict[str, Tensor]) -> dict[str, Tensor]:
        """These gradients; in an isolated run the recorded ones of the update, where there are any."""
        if self.port.program == "julia" and self.port.mode.isolated:
            return {**ours, **self._recorded(f"train/{update}/grad/")}
        return ours

    def _recorded(self, prefix: str) -> dict[str, Tensor]:
        """What was recorded of every parameter under `prefix`, by the port's names, as this run takes it."""
        ours, mode = by_our_names(self.port.recording, self.port.recording.group(prefix)), self.port.mode
        return {name: nudge(tensor, mode.nudged, f"{prefix}{name}").to(mode.dtype) for name, tensor in ours.items()}

    def update(self, ours: dict[str, Tensor]) -> None:
        """Make the update of these gradients."""
        for name, gradient in ours.items():
            self.parameters[name].grad = gradient.clone()
        with self.port.mode.arithmetic(f"step {len(self.optimizer.state)}"):
            self.optimizer.step()

    def moments(self, key: str) -> dict[str, Tensor]:
        """The moment `m` or `v` of every parameter in the recorded layout, 0 before the first update."""
        state = self.optimizer.state
        return self.port.recorded_layout(
            {name: state[p].get(key, torch.zeros_like(p)) for name, p in self.parameters.items()}
        )


def replay_training(recording: Recording, semantics: Semantics, mode: RunMode) -> Iterator[TracedTensor]:
    """The stream of `train/`: one unbroken run, or, isolated, every update from what was recorded before it."""
    updates = recording.count("train")
    if not updates:
        return
    port = build(recording, semantics, mode)
    training = Training(port)
    for update in range(1, updates + 1):
        yield from _update(training, update)
    if port.program == "julia" and "train/loss_after" in recording.tensors:
        if mode.isolated:
            training.take_over(updates)
        tokens, targets = pair(recording, 1)
        with mode.arithmetic("after the last update"):
            loss = shaped_like_loss(nll(port.model(tokens, training.state)[0], targets), port.program)
        yield TracedTensor("train/loss_after", loss, "after the last update", end_to_end_only=True)


def _update(training: Training, update: int) -> Iterator[TracedTensor]:
    port, prefix, place = training.port, f"train/{update}/", f"update {update}"
    loss, ours = training.backward(update)
    yield TracedTensor(f"{prefix}loss", shaped_like_loss(loss, port.program), place, end_to_end_only=True)
    if port.program == "julia":
        for name, gradient in in_recorded_order(port, ours).items():
            yield TracedTensor(f"{prefix}grad/{name}", gradient, f"{place}, gradient of {name}", end_to_end_only=True)
    else:
        of = torch.cat([gradient.flatten() for gradient in ours.values()])
        norm = joint_norm(ours.values())  # as clipping takes it; of all in one, float32 loses what is small
        yield TracedTensor(f"{prefix}grad_norm_before_clip", norm, place, end_to_end_only=True, norm_of=of)
    training.update(training.isolated_gradients(update, ours))
    # Smerity's recordings have no gradients of the updates, so these depend on the whole model.
    end_to_end_only = port.program == "paper"
    if port.program == "julia":
        for theirs, key in MOMENTS.items():
            for name, moment in training.moments(key).items():
                yield TracedTensor(f"{prefix}{theirs}/{name}", moment.clone(), f"{place}, moment of {name}")
    for name, tensor in port.parameters().items():
        yield TracedTensor(f"{prefix}param/{name}", tensor.clone(), f"{place}, {name}", end_to_end_only=end_to_end_only)
