"""The rows of a comparison, and how they come about."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharnn_py.compare.contender import Contender, Reader, Settings, told
from sharnn_py.compare.mixture import best_weights, mixed
from sharnn_py.compare.split import Split

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One model's line in the table."""

    name: str
    bits_per_byte: float
    """Of the held-out bytes."""
    cpu_seconds: float
    """Of all threads, for fitting with the settings chosen and for reading the validation and held-out parts."""
    wall_seconds: float
    parameters: int | None
    """How many numbers were fitted; None where a model has no such number."""
    bytes_seen: int
    """How many bytes it was fitted to before the held-out part, those that it went over again counted again."""
    note: str
    """Its settings, and what else is to be known of it."""


@dataclass(frozen=True)
class Result:
    """A row, and what every byte cost: bits, (validation bytes,) and (held-out bytes,)."""

    row: Row
    validation: Floats
    held_out: Floats
    reader: Reader | None = None
    """What read them; None for a mixture."""


def final(contender: Contender, split: Split, minutes: float, settings: Settings) -> Result:
    """The result of `contender` with the settings chosen for it, fitted for `minutes`."""
    cpu, wall = time.process_time(), time.perf_counter()
    reader = contender.fit(split.fit, minutes, settings)
    validation = reader.read(split.validation)
    bytes_seen = reader.bytes_seen
    held_out = reader.read(split.held_out)
    row = Row(
        contender.name, float(held_out.mean()), time.process_time() - cpu, time.perf_counter() - wall,
        reader.parameters, bytes_seen, told(settings),
    )  # fmt: skip
    return Result(row, validation, held_out, reader)


def ensemble(members: list[Result]) -> Result:
    """The mixture of `members`, whose weights are those that are best on the validation part."""
    validation = np.stack([member.validation for member in members])
    held_out = np.stack([member.held_out for member in members])
    weights = best_weights(validation)
    rows = [member.row for member in members]
    known = [row.parameters for row in rows if row.parameters is not None]
    row = Row(
        " + ".join(row.name for row in rows),
        float(mixed(held_out, weights).mean()),
        sum(row.cpu_seconds for row in rows),
        sum(row.wall_seconds for row in rows),
        sum(known) if len(known) == len(rows) else None,
        max(row.bytes_seen for row in rows),
        "ensemble, weights " + ", ".join(f"{weight:.2f}" for weight in weights),
    )
    return Result(row, mixed(validation, weights), mixed(held_out, weights))
