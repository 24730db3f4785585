"""The port as a subject of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from parity.recording import Recording
from parity.replay.baseline import replay_baseline
from parity.replay.model import replay
from parity.replay.training import replay_training
from parity.results import Comparison
from parity.steps import Scene
from parity.subject import Item, Precision
from sharnn_py.config import Semantics


@dataclass(frozen=True)
class PortOf:
    """The port of whatever model was recorded, under the given semantics."""

    semantics: Semantics
    label: str

    def stream(self, recording: Recording, precision: Precision) -> Iterator[Item]:
        """See `Subject.stream`."""
        if "param/projection.w" in recording.tensors:
            yield from replay_baseline(recording, precision)
            return
        yield from replay(recording, self.semantics, precision)
        yield from replay_training(recording, self.semantics, precision)

    def parameters_of(self, recording: Recording, comparison: Comparison) -> frozenset[str]:
        """See `Subject.parameters_of`."""
        return frozenset()

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """See `Subject.scene`."""
        return None
