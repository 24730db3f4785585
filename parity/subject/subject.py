"""What can be compared with a recording: anything that computes the recorded tensors again, in order.

A subject's stream is run several times in step, once in float64 and several times in float32; and all that twice: end
to end, and isolated, every layer on the reference's inputs.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from parity.arithmetic.lookout import Lookout
from parity.arithmetic.rounding import RandomRounding
from parity.recording.names import TensorName, parse
from parity.recording.recording import Recording
from parity.results import Comparison
from parity.subject.gradient_probe import GradientProbe
from parity.subject.scene import Scene
from parity.tolerance import seed


@dataclass(frozen=True)
class RunMode:
    """How one run computes."""

    dtype: torch.dtype
    nudged: int = 0
    """Which run it is of those that show what float32 does: in them recorded numbers are nudged (`parity.tolerance`)
    and every operation is rounded at random (`parity.arithmetic.rounding`). 0 does neither."""
    isolated: bool = False
    """Whether every layer is given the reference's inputs instead of what the layers before it computed."""
    again: bool = False
    """Whether it is the same run a second time, which must give the same numbers."""
    lookout: Lookout | None = field(default=None, compare=False)
    """What looks on, if anything does."""
    format: torch.dtype = torch.float32
    """The format whose rounding nudged runs show: that of the recording."""

    def arithmetic(self, name: str) -> AbstractContextManager[object]:
        """What to compute within: torch's own arithmetic, or the random rounding of a nudged run, drawn from `name`."""
        if self.lookout is not None:
            return self.lookout
        rounds = self.nudged and self.dtype == torch.float64
        return RandomRounding(seed(self.nudged, name), self.format) if rounds else nullcontext()


NOT_DETACHED = "carries its graph along, so gradients cross the border"
"""The problem of a carried state that is not cut off from the segment it comes from."""


@dataclass(frozen=True)
class TracedTensor:
    """One tensor of a run."""

    name: str
    tensor: Tensor
    where: str = ""
    exact: bool = False
    recorded: str = ""
    """The recorded tensor it is compared with, if that has another name."""
    time_axis: int | None = None
    end_to_end_only: bool = False
    """Whether it depends on the whole model even in an isolated run, as a parameter's gradient does. Such a tensor is
    wrong only if nothing before it is."""
    problem: str = ""
    """What is wrong with it whatever its numbers are; with one, it need not have been recorded."""
    tolerance: float | None = None
    """What its error may be, whatever rounding explains."""
    norm_of: Tensor | None = None
    """Of a norm: the tensor it is taken of. What rounding does to that, at worst, is done to the norm."""
    terms: float = 0.0
    """Of a difference: the size of what is subtracted. It stays where the difference vanishes; rounding is a share of it."""
    rounded_as: str = ""
    """The tensor of the same run that rounding does the same to, where the runs that show it do not compute this one
    again."""

    @property
    def reference(self) -> str:
        """The name of the recorded tensor."""
        return self.recorded or self.name

    @property
    def parts(self) -> TensorName:
        """The name in its parts."""
        return parse(self.name)


class Subject(Protocol):
    """Something that computes what was recorded."""

    @property
    def label(self) -> str:
        """What it is, for reports."""

    def stream(self, recording: Recording, mode: RunMode) -> Iterator[TracedTensor]:
        """Every tensor of one run, in order of computation. The names are the same in every mode."""

    def parameters_of(self, recording: Recording, comparison: Comparison) -> frozenset[str]:
        """The recorded parameters that the compared layer itself uses."""

    def gradient_probe(self, recording: Recording, segment: int) -> GradientProbe | None:
        """A segment to be run again on the reference's inputs, to find a wrong gradient; None where there is none."""

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """What diagnosis needs to explain a wrong tensor, and that tensor's key; None where it can tell nothing."""
