"""The port as a subject of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from parity.backward import Note, Traced
from parity.recording import Recording
from parity.replay.baseline import replay_baseline
from parity.replay.model import forced_segment, replay
from parity.replay.training import replay_training
from parity.results import Comparison
from parity.steps import Scene
from parity.subject import Item, Precision
from sharnn_py.config import Semantics
from sharnn_py.model import nll


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

    def traced(self, recording: Recording, segment: int) -> Traced | None:
        """See `Subject.traced`."""
        if "param/projection.w" in recording.tensors:
            return None
        run = forced_segment(recording, self.semantics, segment)
        tokens, targets = run.tokens()

        def loss(note: Note) -> Tensor:
            logits, _ = run.port.model(tokens, run.state, note)
            return nll(logits, targets)

        def shown(name: str) -> str:
            if name.startswith("parameter "):
                return name
            return run.table[name][0] if run.recorded(name) is not None else f"{name} (of the port)"

        parameters = {f"parameter {name}": p for name, p in run.port.model.named_parameters()}
        return Traced(loss, parameters, lambda name, tensor: run.forced(name, tensor.detach()), shown)

    def scene(self, recording: Recording, comparison: Comparison) -> tuple[Scene, str] | None:
        """See `Subject.scene`."""
        return None
