"""One segment of a torch module's run on recorded inputs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from parity.errors import RecordingError
from parity.module.hooks import NAME, Listener, mapped, watched
from parity.recording.recording import Recording
from parity.subject.gradient_probe import Note
from parity.subject.segment_run import SAME, Layout, SegmentRun, gradients
from parity.subject.subject import RunMode, TracedTensor

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


class Segment(SegmentRun):
    """One segment of a module's run."""

    def __init__(
        self, how: Run, module: nn.Module, recording: Recording, mode: RunMode, number: int, state: Any
    ) -> None:
        super().__init__(module, recording, mode, number, state)
        self.how = how
        self.with_gradients = how.loss is not None and self.with_gradients
        self.inputs = inputs(recording, number)

    def entry(self, name: str) -> tuple[str, Layout]:
        return self.how.names.get(name, name), SAME

    def compute(self, note: Note, listener: Listener | None = None) -> tuple[Any, Any]:
        """One pass; a fresh object for every input, so that no name of an earlier pass sticks to it."""
        given = tuple(x.to(self.mode.dtype) if x.is_floating_point() else x.clone() for x in self.inputs)
        for i, x in enumerate(given):
            setattr(x, NAME, f"input.{i}")
        listener = listener or Listener()
        with watched(self.model, note, listener), listener.following():
            output, state = self.how.call(self.model, given, self.state)
        output = mapped(output, "output", note)
        return (None if self.how.loss is None else self.how.loss(output)), state

    def run(self) -> None:
        """Emit every tensor of the segment that was recorded."""
        with torch.set_grad_enabled(self.with_gradients):
            loss, state = self.compute(self.note)
            if self.with_gradients:
                self.emit(TracedTensor(f"eval/{self.number}/loss", loss.detach(), self.place))
                for name, gradient in gradients(self.model, loss)[0].items():
                    theirs, _ = self.entry(name)
                    if f"grad/{self.number}/{theirs}" in self.recording.tensors:
                        self.emit(self.parameter_gradient(theirs, gradient, name))
        self.carried = mapped(state, "state", self._carry)

    def intermediates(self, name: str, tensor: Tensor) -> Iterator[TracedTensor]:
        return super().intermediates(name, tensor) if self.recorded(name) is not None else iter(())

    def time_axis(self, name: str, tensor: Tensor) -> int | None:
        axis = self.how.time_axis
        steps = None if axis is None else self.inputs[0].shape[axis]
        return axis if axis is not None and tensor.ndim > axis and tensor.shape[axis] == steps else None

    def _carry(self, name: str, tensor: Tensor) -> Tensor:
        if self.recorded(name, "carry") is not None:
            theirs, _ = self.entry(name)
            self.emit(TracedTensor(f"carry/{self.number}/{theirs}", tensor.detach(), f"{self.place}, carried on"))
        return self.substitute(name, tensor.detach(), "carry")


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
