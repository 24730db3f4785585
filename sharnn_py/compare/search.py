"""Choosing settings with the same effort for every contender.

Every contender names `TRIALS` settings, no fewer and no more. Each is fitted to the same part of the text for the same
share of the minutes, and the one whose code for the validation part is shortest is the one that goes on. Nothing of the
held-out part is read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sharnn_py.compare.contender import Contender, Settings
from sharnn_py.compare.split import Split

TRIALS = 6
"""How many settings are tried for every contender, each in an equal share of the minutes of the search."""


@dataclass(frozen=True)
class Trial:
    """One setting of one contender, tried."""

    settings: Settings
    bits_per_byte: float
    """Of the validation part."""
    cpu_seconds: float


def search(contender: Contender, split: Split, minutes: float) -> tuple[Trial, ...]:
    """Try every setting of `contender`, in `minutes` of wall-clock time all together; the best trial comes first.

    Raises `ValueError` unless the contender has `TRIALS` settings.
    """
    if len(contender.settings) != TRIALS:
        raise ValueError(f"{contender.name} has {len(contender.settings)} settings, and every contender has {TRIALS}")
    trials = [_tried(contender, settings, split, minutes / TRIALS) for settings in contender.settings]
    return tuple(sorted(trials, key=lambda trial: trial.bits_per_byte))


def _tried(contender: Contender, settings: Settings, split: Split, minutes: float) -> Trial:
    began = time.process_time()
    bits = contender.fit(split.fit, minutes, settings).read(split.validation)
    return Trial(settings, float(bits.mean()), time.process_time() - began)
