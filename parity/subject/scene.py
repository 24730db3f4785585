"""How one tensor of a trace comes from others: what diagnosis recomputes.

An `Operation` has a name (a key of `parity.diagnosis.operations.OPERATIONS`, such as "linear", "layer_norm",
"lstm"), the tensors it takes by role, and its settings. It says nothing of the model it is part of.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Operation:
    """One operation of a scene: its name, its inputs by role, and its settings."""

    name: str
    inputs: Mapping[str, str]
    """The role of every tensor it takes, parameters included, to that tensor's key in the scene. A role whose key the
    scene has nothing for is absent: an LSTM without "h" and "c" starts from zeros, a linear without "bias" has none."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    """Where it happens, for hints, if its key does not tell: the call of a function behind a recorded tensor."""


@dataclass(frozen=True)
class Scene:
    """One segment (or update) of one case, laid open for diagnosis. Tensors are float64 but for ids, in one layout."""

    operations: Mapping[str, Operation]
    """How each key is computed."""
    reference: Mapping[str, Tensor]
    """What the reference recorded, by key."""
    subject: Mapping[str, Tensor]
    """What the subject computes from the reference's inputs, and its parameters, by key."""
    rounding: Mapping[str, float]
    """By key, the tolerance within which the reference's tensor is explained by rounding."""
    reruns: Mapping[tuple[str, str], Callable[[], Tensor]] = field(default_factory=dict)
    """The subject run again with something about it otherwise: what it has then, and has now, in words for hints, and
    what it computes then for the tensor that is explained."""
    unmatched: Mapping[str, Tensor] = field(default_factory=dict)
    """What the reference recorded besides, under names that the subject computes nothing of."""
