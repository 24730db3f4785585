"""Running one recorded segment of any model: what it computes is handed out, and what was recorded goes on for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from parity.recording.recording import Recording
from parity.subject.gradient_probe import GradientProbe, Note
from parity.subject.lockstep import lockstep
from parity.subject.subject import RunMode, TracedTensor
from parity.subject.substitute import substitute

Emit = Callable[[TracedTensor], None]


@dataclass(frozen=True)
class Layout:
    """How one of the model's tensors was recorded. Both directions only move numbers."""

    to_recorded: Callable[[Tensor], Tensor]
    to_ours: Callable[[Tensor], Tensor]
    axis: Callable[[int, int], int]
    """Where an axis of the model's tensor is in the recorded one; the second number is how many axes there are."""


SAME = Layout(lambda x: x, lambda x: x, lambda axis, axes: axis)


CHANGED = "the forward pass changes this parameter in place"
"""The problem of a parameter that is not the same after a segment as before it."""


class SegmentRun:
    """One segment of a run. An isolated one gives every layer what was recorded of the layers before it.

    What knows the model is in a subclass: how its names map (`entry`), how it is called (`compute`), and what of it
    is emitted in which order (`run`).
    """

    nudged_under = ""
    """What stands before a tensor's name where the nudges of its recorded numbers are drawn from it."""

    def __init__(self, model: nn.Module, recording: Recording, mode: RunMode, number: int, state: Any) -> None:
        self.model, self.recording, self.mode, self.number, self.state = model, recording, mode, number, state
        self.place = f"segment {number}"
        self.with_gradients = recording.has("grad")
        self.carried: Any = None
        """What the next segment starts from."""
        self.reached: set[str] = set()
        """The tensors to which a gradient has come back."""
        self.emit: Emit

    def entry(self, name: str) -> tuple[str, Layout] | None:
        """The recording's name for one of the model's tensors, without group and number, and its layout there."""
        raise NotImplementedError

    def compute(self, note: Note) -> tuple[Any, Any]:
        """One forward pass: its loss, None where there is none, and its state."""
        raise NotImplementedError

    def run(self) -> None:
        """Compute the segment, emit every tensor of it, and set `carried`."""
        raise NotImplementedError

    def produce(self, emit: Emit) -> None:
        """`run`, with what it emits handed to `emit`."""
        self.emit = emit
        with self.mode.arithmetic(self.place):
            self.run()

    def where(self, name: str) -> str:
        """The place of one of the model's tensors, in words."""
        return self.place

    def time_axis(self, name: str, tensor: Tensor) -> int | None:
        """The axis of one of the model's tensors that is the segment's steps."""
        return None

    def shown(self, name: str) -> str:
        """The name under which a reader of the recording knows one of the model's tensors."""
        return name

    def recorded(self, name: str, group: str = "eval") -> Tensor | None:
        """What was recorded of one of the model's tensors, in the model's layout; None if nothing was."""
        theirs, layout = self.entry(name) or ("", SAME)
        tensor = self.recording.tensors.get(f"{group}/{self.number}/{theirs}")
        return None if tensor is None else layout.to_ours(tensor)

    def substitute(self, name: str, tensor: Tensor, group: str = "eval") -> Tensor:
        """What was recorded in the place of one of the model's tensors, which is given, or of its gradient."""
        drawn_from = f"{self.nudged_under}{'agrad ' if group == 'agrad' else ''}{name}"
        return substitute(tensor, self.recorded(name, group), self.mode, drawn_from)

    def note(self, name: str, tensor: Tensor) -> Tensor:
        """Emit a tensor as it is computed, and later its gradient, and go on with what was recorded of either."""
        for item in self.intermediates(name, tensor.detach()):
            self.emit(item)
        if self.with_gradients and tensor.requires_grad and self.recorded(name, "agrad") is not None:
            tensor.register_hook(partial(self._come_back, name))  # type: ignore[no-untyped-call]
        return self.substitute(name, tensor)

    def intermediates(self, name: str, tensor: Tensor) -> Iterator[TracedTensor]:
        """What is emitted of one of the model's tensors."""
        entry = self.entry(name)
        if entry is not None:
            theirs, layout = entry
            axis = self.time_axis(name, tensor)
            axis = None if axis is None else layout.axis(axis, tensor.ndim)
            recorded = f"eval/{self.number}/{theirs}"
            yield TracedTensor(recorded, layout.to_recorded(tensor), self.where(name), time_axis=axis)

    def _come_back(self, name: str, gradient: Tensor) -> Tensor:
        self.reached.add(name)
        theirs, layout = self.entry(name) or (name, SAME)
        where = f"{self.where(name)}, gradient of the loss there"
        self.emit(TracedTensor(f"agrad/{self.number}/{theirs}", layout.to_recorded(gradient.detach()), where))
        return self.substitute(name, gradient, "agrad")

    def parameter_gradient(self, theirs: str, gradient: Tensor, ours: str = "") -> TracedTensor:
        """The gradient of a parameter, given its recorded name.

        Without recorded gradients inside the model it depends on the whole backward path.
        """
        whole = not (self.mode.isolated and self.recording.has("agrad"))
        where = f"{self.place}, gradient of {ours or theirs}"
        return TracedTensor(f"grad/{self.number}/{theirs}", gradient, where, end_to_end_only=whole)

    def gradient_probe(self) -> GradientProbe:
        """The segment as the search for a wrong gradient runs it."""
        parameters = {f"parameter {name}": p for name, p in self.model.named_parameters()}
        return GradientProbe(
            lambda note: self.compute(note)[0],
            parameters,
            lambda name, tensor: self.substitute(name, tensor.detach()),
            lambda name: name if name in parameters else self.shown(name),
        )


def stream(count: int, begun: Callable[[int, Any], SegmentRun]) -> Iterator[TracedTensor]:
    """What `count` segments emit, each `begun` with its number and with what the one before it carried on."""
    state: Any = None
    before: dict[str, int] = {}
    for number in range(1, count + 1):
        run = begun(number, state)
        before = before or fingerprints(run.model)
        yield from lockstep(run.produce, lambda item: item.tensor.nbytes)
        state = run.carried
        for name, fingerprint in fingerprints(run.model).items():
            if fingerprint != before[name]:
                before[name] = fingerprint
                yield TracedTensor(f"param/{name}", torch.empty(0), run.place, problem=CHANGED)


def fingerprints(model: nn.Module) -> dict[str, int]:
    """A number for every parameter, which changes when any bit of it does."""
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    parameters = dict(model.named_parameters())
    sums = [p.detach().view(bits[p.element_size()]).sum() for p in parameters.values()]
    return dict(zip(parameters, torch.stack(sums).tolist(), strict=True)) if sums else {}


def gradients(
    model: nn.Module, loss: Tensor, *others: Tensor, keep_graph: bool = False
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Gradients of `loss` by parameter name, last layer first as they are computed, and those of `others`.

    A parameter that the loss does not depend on has gradient 0; in a faulty port that is a finding, not an error.
    """
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, (*parameters, *others), retain_graph=keep_graph, materialize_grads=True)
    by_name = dict(zip(names, found, strict=False))
    return dict(reversed(by_name.items())), list(found[len(names) :])
