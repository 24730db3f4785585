"""One segment of a torch module's run on recorded inputs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from parity.arithmetic.widened import Widened
from parity.errors import RecordingError, UsageError
from parity.module.hooks import NAME, Listener, watched
from parity.module.nested import mapped
from parity.module.terms import Terms
from parity.recording.recording import Recording
from parity.subject.gradient_probe import Note
from parity.subject.segment_run import SAME, Layout, SegmentRun, gradients
from parity.subject.subject import RunMode, TracedTensor

Inputs = tuple[Tensor, ...] | dict[str, Tensor]
"""What a segment is run on: tensors in order, or by the names of the module's arguments."""
Call = Callable[[nn.Module, Any, Any], tuple[Any, Any]]
"""Runs a segment: of (module, inputs, state) the (output, state). State is None before the first."""
Loss = Callable[[Any], Tensor]
"""The loss of an output, a scalar."""


def plainly(module: nn.Module, inputs: Inputs, state: Any) -> tuple[Any, Any]:
    """A module without state: `module(*inputs)`, or `module(**inputs)` for inputs by name."""
    return (module(**inputs) if isinstance(inputs, dict) else module(*inputs)), None


def named(inputs: Inputs) -> list[tuple[str, Tensor]]:
    """The inputs, each with its name or number."""
    return list(inputs.items()) if isinstance(inputs, dict) else [(str(i), x) for i, x in enumerate(inputs)]


@dataclass(frozen=True)
class Run:
    """How a module is run."""

    call: Call = plainly
    loss: Loss | None = None
    time_axis: int | None = None
    """The axis along which a tensor as long as the first input is a series of steps."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The module's names of tensors and parameters to the recording's, where they differ."""
    layout: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By patterns of the module's names, the order of a recorded tensor's axes that is the module's."""
    terms: Terms = field(default_factory=Terms)
    """What the comparison is held to besides."""
    seen: dict[str, None] = field(default_factory=dict)
    """The module's names of what it was seen to compute, in order."""

    def entry(self, name: str) -> tuple[str, Layout]:
        """The recording's name of one of the module's tensors, parameters or inputs, and its layout there."""
        pattern = next((pattern for pattern in self.layout if fnmatchcase(name, pattern)), None)
        layout = SAME if pattern is None else permuted(name, self.layout[pattern])
        return self.names.get(name, name), layout


def permuted(name: str, order: tuple[int, ...]) -> Layout:
    """The layout of a tensor whose axes `permute(order)` brings from the recording's order to the module's."""

    def by(axes: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
        def moved(tensor: Tensor) -> Tensor:
            if tensor.ndim != len(axes):
                raise UsageError(f"the layout of {name} is {order}, but its shape is {tuple(tensor.shape)}")
            return tensor.permute(axes)

        return moved

    inverse = tuple(order.index(axis) for axis in range(len(order)))
    return Layout(by(inverse), by(order), lambda axis, axes: order[axis])


class Segment(SegmentRun):
    """One segment of a module's run."""

    def __init__(
        self, how: Run, module: nn.Module, recording: Recording, mode: RunMode, number: int, state: Any
    ) -> None:
        super().__init__(module, recording, mode, number, state)
        self.how = how
        self.with_gradients = how.loss is not None and self.with_gradients
        self.inputs = [(key, how.entry(f"input.{key}")[1].to_ours(x)) for key, x in inputs(recording, number)]

    def entry(self, name: str) -> tuple[str, Layout]:
        return self.how.entry(name)

    def compute(self, note: Note, listener: Listener | None = None) -> tuple[Any, Any]:
        """One pass; a fresh object for every input, so that no name of an earlier pass sticks to it.

        The state is copied, as the module may write to it.
        """
        fresh = {
            key: x.to(self.mode.dtype, copy=True) if x.is_floating_point() else x.clone() for key, x in self.inputs
        }
        for key, x in fresh.items():
            setattr(x, NAME, f"input.{key}")
        given = tuple(fresh.values()) if all(key.isdigit() for key in fresh) else fresh
        state = mapped(self.state, "state", lambda _, tensor: tensor.clone())
        listener = listener or Listener()
        with Widened() if self.mode.dtype == torch.float64 else nullcontext():
            with watched(self.model, note, listener), listener.following():
                output, state = self.how.call(self.model, given, state)
            output = mapped(output, "output", note)
            return (None if self.how.loss is None else self.how.loss(output)), state

    def run(self) -> None:
        """Emit every tensor of the segment that was recorded."""
        with torch.set_grad_enabled(self.with_gradients):
            loss, state = self.compute(self.note)
            if self.with_gradients:
                self.emit(TracedTensor(f"eval/{self.number}/loss", loss.detach(), self.place))
                for name, gradient in gradients(self.model, loss)[0].items():
                    theirs, layout = self.entry(name)
                    if f"grad/{self.number}/{theirs}" in self.recording.tensors:
                        self.emit(self.parameter_gradient(theirs, layout.to_recorded(gradient), name))
        self.carried = mapped(state, "state", self._carry)

    def intermediates(self, name: str, tensor: Tensor) -> Iterator[TracedTensor]:
        self.how.seen[name] = None
        return super().intermediates(name, tensor) if self.recorded(name) is not None else iter(())

    def time_axis(self, name: str, tensor: Tensor) -> int | None:
        axis = self.how.time_axis
        steps = None if axis is None else self.inputs[0][1].shape[axis]
        return axis if axis is not None and tensor.ndim > axis and tensor.shape[axis] == steps else None

    def _carry(self, name: str, tensor: Tensor) -> Tensor:
        self.how.seen[name] = None
        if self.recorded(name, "carry") is not None:
            theirs, layout = self.entry(name)
            carried = layout.to_recorded(tensor.detach())
            self.emit(TracedTensor(f"carry/{self.number}/{theirs}", carried, f"{self.place}, carried on"))
        return self.substitute(name, tensor.detach(), "carry")


def segments(recording: Recording) -> int:
    """How many segments of inputs a recording has. Raises `RecordingError` if it has none."""
    count = recording.count("input")
    if not count:
        raise RecordingError(f"{recording.label}: it holds no inputs (input/1/0, ...), so nothing can be run on them")
    return count


def inputs(recording: Recording, segment: int) -> list[tuple[str, Tensor]]:
    """The recorded inputs of a segment, each with its name or number: numbers in order, names as they were recorded."""
    found = recording.group(f"input/{segment}/")
    return (
        sorted(found.items(), key=lambda entry: int(entry[0])) if all(map(str.isdigit, found)) else list(found.items())
    )
