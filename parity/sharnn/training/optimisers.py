"""Julia's MinTrustLAMB held against every recorded update of the programs, one at a time.

Each update starts from the parameters that were recorded before it. SHA-RNN.jl's recordings have gradients and moments
too, and so does each update. Smerity's have neither: the gradients are the port's at the recorded parameters, which
`sharnn parity run` proves, and the moments are carried on from update to update.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from julia_bridge import JuliaRule, Moments, PaperRule, Worker, lamb_update
from julia_bridge.sharnn.model import Array
from parity.errors import RecordingError
from parity.measure import measure_rounded
from parity.recording.recording import Recording
from parity.sharnn.header import program_of
from parity.sharnn.port import build
from parity.sharnn.training.results import RecordedUpdates
from parity.sharnn.updates import MOMENTS, Training, paper_settings, scheduled_updates
from parity.subject.subject import RunMode
from parity.threads import one_thread
from parity.tolerance import ROUNDING_RUNS, nudge
from sharnn_py.config import PRESETS

ARE_FIXED = {"betas": (0.9, 0.999), "eps": 1e-6, "min_trust": 0.25}
"""Settings that the rule in Julia has as constants, as they are the same in both programs."""


def recorded_updates(recordings: Sequence[Recording], worker: Worker) -> Iterator[RecordedUpdates]:
    """The result for each of these recordings that has updates. Raises `RecordingError`, what `Worker.call` raises."""
    for recording in recordings:
        if not recording.is_data and recording.count("train"):
            with one_thread():
                yield _compared(recording, worker)


@dataclass
class _Run:
    """One run of Julia's optimiser through a recording's updates."""

    recording: Recording
    dtype: torch.dtype
    nudged: int
    moments: Moments | None = None
    training: Training | None = None
    """The port, where its gradients are taken."""

    def update(self, number: int, worker: Worker) -> dict[str, Tensor]:
        """What Julia gives for what was recorded of an update, by the recorded names."""
        julia = program_of(self.recording) == "julia"
        before = "param/" if number == 1 else f"train/{number - 1}/param/"
        rule = self._rule()
        if julia:
            gradients = self._recorded(f"train/{number}/grad/")
            self.moments = None if number == 1 else self._recorded_moments(f"train/{number - 1}/")
        else:
            gradients = self._gradients(number)
        # Smerity's program has parameters that nothing uses, and no gradient of them.
        parameters = {name: w for name, w in self._recorded(before).items() if name in gradients}
        after, self.moments = lamb_update(rule, number, parameters, gradients, self.moments, worker)
        prefix = f"train/{number}/"
        found = {f"{prefix}param/{name}": array for name, array in after.items()}
        if julia:
            of = {"m": self.moments.first, "v": self.moments.second}
            found |= {f"{prefix}{theirs}/{n}": a for theirs, ours in MOMENTS.items() for n, a in of[ours].items()}
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}

    def _rule(self) -> JuliaRule | PaperRule:
        setting = self.recording.setting
        if program_of(self.recording) == "julia":
            return JuliaRule(
                lr=setting("lr"),
                total=scheduled_updates(self.recording),
                warmup=setting("warmup"),
                schedule=setting("schedule"),
            )
        recorded = paper_settings(self.recording)
        if {name: recorded[name] for name in ARE_FIXED} != ARE_FIXED:
            raise RecordingError(f"{self.recording.label}: its optimiser is not main.py's: {recorded}")
        return PaperRule(lr=recorded["lr"], decay=recorded["weight_decay"], clip=recorded["clip"])

    def _recorded(self, prefix: str) -> dict[str, Array]:
        tensors = self.recording.group(prefix).items()
        return {name: nudge(t, self.nudged, f"{prefix}{name}").to(self.dtype).numpy() for name, t in tensors}

    def _recorded_moments(self, prefix: str) -> Moments:
        first, second = (self._recorded(f"{prefix}{theirs}/") for theirs in MOMENTS)
        return Moments(first, second)

    def _gradients(self, number: int) -> dict[str, Array]:
        if self.training is None:
            mode = RunMode(torch.float64, self.nudged, isolated=True)
            self.training = Training(build(self.recording, PRESETS[program_of(self.recording)], mode))
        _, ours = self.training.backward(number)
        named = self.training.port.recorded_layout(ours)
        return {name: gradient.to(self.dtype).numpy() for name, gradient in named.items()}


def _compared(recording: Recording, worker: Worker) -> RecordedUpdates:
    exact = _Run(recording, torch.float64, 0)
    rounded = [_Run(recording, torch.float32, number) for number in range(ROUNDING_RUNS)]
    compared, units, wrong = 0, 0.0, ""
    updates = recording.count("train")
    for number in range(1, updates + 1):
        truth = exact.update(number, worker)
        runs = [run.update(number, worker) for run in rounded]
        for name, tensor in truth.items():
            measure = measure_rounded(recording.tensor(name), tensor, [run[name] for run in runs])
            compared, units = compared + 1, max(units, measure.units)
            wrong = wrong or ("" if measure.agrees else name)
    return RecordedUpdates(recording.name, program_of(recording), updates, compared, units, wrong)
