"""Choosing settings with the same effort for every contender.

Every contender names `TRIALS` settings, no fewer and no more. Each is fitted to the same part of the text for the same
share of the minutes, and the one whose code for the validation part is shortest is the one that goes on. Nothing of the
held-out part is read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from sharnn_py.compare.contender import Contender, Failed, Settings, told
from sharnn_py.compare.split import Split

TRIALS = 6
"""How many settings are tried for every contender, each in an equal share of the minutes of the search."""


@dataclass(frozen=True)
class Trial:
    """One setting of one contender, tried."""

    settings: Settings
    bits_per_byte: float | None
    """Of the validation part; None where training failed."""
    failed: str
    """Why it did; "" where it did not."""
    cpu_seconds: float


def search(contender: Contender, split: Split, minutes: float, tell: Callable[[str], object]) -> tuple[Trial, ...]:
    """Try every setting of `contender`, in `minutes` of wall-clock time all together; the best trial comes first.

    `tell` is called with a line about each. Raises `Failed` if every setting failed, `ValueError` unless there are
    `TRIALS` of them.
    """
    if len(contender.settings) != TRIALS:
        raise ValueError(f"{contender.name} has {len(contender.settings)} settings, and every contender has {TRIALS}")
    trials = []
    for settings in contender.settings:
        trial = _tried(contender, settings, split, minutes / TRIALS)
        trials.append(trial)
        came = trial.failed or f"{trial.bits_per_byte:.4f} bits per byte of the validation part"
        tell(f"{contender.name} with {told(settings)}: {came}")
    best, *_ = ordered = sorted(trials, key=_bits)
    if best.bits_per_byte is None:
        raise Failed(f"{contender.name} has learnt nothing with any of its {TRIALS} settings: {best.failed}")
    return tuple(ordered)


def _tried(contender: Contender, settings: Settings, split: Split, minutes: float) -> Trial:
    began = time.process_time()
    bits, failed = None, ""
    try:
        bits = float(contender.fit(split.fit, minutes, settings).read(split.validation).mean())
    except Failed as error:
        failed = str(error)
    except MemoryError:
        failed = "it needs more memory than there is"
    if bits is not None and not math.isfinite(bits):
        bits, failed = None, f"the validation part cost {bits} bits per byte"
    return Trial(settings, bits, failed, time.process_time() - began)


def _bits(trial: Trial) -> float:
    return math.inf if trial.bits_per_byte is None else trial.bits_per_byte
