"""What the search for a wrong gradient needs of a subject: one segment that it can run at will."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

Note = Callable[[str, Tensor], Tensor]
"""Told the name of every tensor as it is computed; returns the tensor to go on with."""


@dataclass(frozen=True)
class GradientProbe:
    """One segment of a subject, to be run as often as it takes, in float64."""

    run: Callable[[Note], Tensor]
    """Computes the loss, calling the note with every intermediate and going on with what it returns."""
    parameters: Mapping[str, Tensor]
    """The subject's parameters, leaves of the graph, under names that no intermediate has."""
    substitute: Callable[[str, Tensor], Tensor]
    """The reference's tensor of this name where there is one, else the subject's own, which is given."""
    shown: Callable[[str], str]
    """The name under which a reader of the recording knows a tensor."""
