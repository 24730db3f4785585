"""One segment of a torch module's run on recorded inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from parity.errors import RecordingError
from parity.module.hooks import NAME, Called, mapped, unheard, watched
from parity.recording.recording import Recording
from parity.subject.gradient_probe import Note
from parity.subject.subject import RunMode, TracedTensor
from parity.subject.substitute import substitute

Call = Callable[[nn.Module, tuple[Tensor, ...], Any], tuple[Any, Any]]
"""Runs a segment: of (module, inputs, state) the (output, state). State is None before the first."""
Loss = Callable[[Any], Tensor]
"""The loss of an output, a scalar."""


def plainly(module: nn.Module, inputs: tuple[Tensor, ...], state: Any) -> tuple[Any, Any]:
    """A module without state: `module(*inputs)`."""
    return module(*inputs), None


@dataclass(frozen=True)
class Run:
    """How a module is run."""

    names: Mapping[str, str]
    """The module's names of tensors and parameters to the recording's, where they differ."""
    call: Call
    loss: Loss | None
    time_axis: int | None
    """The axis along which a tensor as long as the first input is a series of steps."""


class Segment:
    """One segment of a module's run. A forced one puts what was recorded in the place of what is computed."""

    def __init__(
        self, run: Run, module: nn.Module, recording: Recording, mode: RunMode, number: int, state: Any
    ) -> None:
        self.run, self.module, self.recording = run, module, recording
        self.mode, self.number, self.state = mode, number, state
        self.inputs = inputs(recording, number)
        self.carried: Any = None
        """What the next segment starts from, detached."""

    def recorded(self, name: str, group: str = "eval") -> Tensor | None:
        return self.recording.tensors.get(self._name(name, group))

    def _name(self, name: str, group: str) -> str:
        return f"{group}/{self.number}/{self.run.names.get(name, name)}"

    def substitute(self, name: str, tensor: Tensor) -> Tensor:
        """What was recorded in the place of one of the module's tensors, which is given."""
        return substitute(tensor, self.recorded(name), self.mode, name)

    def outputs(self, note: Note, called: Called = unheard) -> tuple[Any, Any]:
        """One pass; a fresh object for every input, so that no name of an earlier pass sticks to it."""
        given = tuple(x.to(self.mode.dtype) if x.is_floating_point() else x.clone() for x in self.inputs)
        for i, x in enumerate(given):
            setattr(x, NAME, f"input.{i}")
        with watched(self.module, note, called):
            output, state = self.run.call(self.module, given, self.state)
        return mapped(output, "output", note), state

    def rounded(self, emit: Callable[[TracedTensor], None]) -> None:
        """`produce` in the arithmetic of the mode."""
        with self.mode.arithmetic(f"segment {self.number}"):
            self.produce(emit)

    def produce(self, emit: Callable[[TracedTensor], None]) -> None:
        """Emit every tensor of the segment that was recorded."""
        place, loss = f"segment {self.number}", self.run.loss
        with_gradients = loss is not None and self.recording.has("grad")

        def note(name: str, tensor: Tensor) -> Tensor:
            if self.recorded(name) is not None:
                emit(TracedTensor(self._name(name, "eval"), tensor.detach(), place, time_axis=self._time_axis(tensor)))
            if with_gradients and tensor.requires_grad and self.recorded(name, "agrad") is not None:
                tensor.register_hook(lambda gradient: self._gradient(name, gradient, emit))  # type: ignore[no-untyped-call]
            return self.substitute(name, tensor)

        with torch.set_grad_enabled(with_gradients):
            output, state = self.outputs(note)
            if loss is not None and with_gradients:
                value = loss(output)
                emit(TracedTensor(self._name("loss", "eval"), value.detach(), place))
                self._gradients(value, emit)
        self.carried = mapped(state, "state", lambda name, tensor: self._carry(name, tensor, emit))

    def _time_axis(self, tensor: Tensor) -> int | None:
        axis = self.run.time_axis
        steps = None if axis is None else self.inputs[0].shape[axis]
        return axis if axis is not None and tensor.ndim > axis and tensor.shape[axis] == steps else None

    def _gradient(self, name: str, gradient: Tensor, emit: Callable[[TracedTensor], None]) -> Tensor:
        where = f"segment {self.number}, gradient of the loss there"
        emit(TracedTensor(self._name(name, "agrad"), gradient.detach(), where))
        return substitute(gradient, self.recorded(name, "agrad"), self.mode, f"agrad {name}")

    def _gradients(self, loss: Tensor, emit: Callable[[TracedTensor], None]) -> None:
        names, parameters = zip(*self.module.named_parameters(), strict=True)
        found = torch.autograd.grad(loss, parameters, materialize_grads=True)
        end_to_end_only = not (self.mode.isolated and self.recording.has("agrad"))
        for name, gradient in reversed(list(zip(names, found, strict=True))):
            recorded = self._name(name, "grad")
            if recorded in self.recording.tensors:
                emit(
                    TracedTensor(
                        recorded,
                        gradient,
                        f"segment {self.number}, gradient of {name}",
                        end_to_end_only=end_to_end_only,
                    )
                )

    def _carry(self, name: str, tensor: Tensor, emit: Callable[[TracedTensor], None]) -> Tensor:
        recorded = self.recorded(name, "carry")
        if recorded is not None:
            emit(TracedTensor(self._name(name, "carry"), tensor.detach(), f"segment {self.number}, carried on"))
        return substitute(tensor.detach(), recorded, self.mode, name)


def segments(recording: Recording) -> int:
    """How many segments of inputs a recording has. Raises `RecordingError` if it has none."""
    count = recording.count("input")
    if not count:
        raise RecordingError(f"{recording.label}: it holds no inputs (input/1/0, ...), so nothing can be run on them")
    return count


def inputs(recording: Recording, segment: int) -> tuple[Tensor, ...]:
    """The recorded inputs of a segment, in order."""
    found = recording.group(f"input/{segment}/")
    return tuple(recording.tensor(f"input/{segment}/{i}") for i in range(len(found)))
