"""The whole difference between two runs, row by row, and whether the ledger's entries are right about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from parity.sharnn.attribution.outputs import Outputs, output_change, rms
from parity.sharnn.attribution.results import Contribution, Origin, OutputChange
from parity.sharnn.ledger.entry import QUANTITIES, Entry, Size
from sharnn_py.config import Config
from sharnn_py.trace import Note


@dataclass(frozen=True)
class FirstChange:
    """The first tensor that differs between two runs."""

    name: str
    before: Tensor | None
    """None if only the later run has such a tensor."""
    after: Tensor


class FirstChangeFinder:
    """A note to a run that finds the first tensor to differ from that of an earlier run, `base`.

    `base` may be filled while both runs proceed; it only has to hold a tensor by the time the later run computes it.
    """

    def __init__(self, base: dict[str, Tensor]) -> None:
        self.base = base
        self.first: FirstChange | None = None

    def __call__(self, name: str, tensor: Tensor) -> None:
        if self.first is not None:
            return
        before = self.base.get(name)
        if before is None or before.shape != tensor.shape or not torch.equal(before, tensor):
            self.first = FirstChange(name, before, tensor.detach().clone())


def keep_in(base: dict[str, Tensor]) -> Note:
    """A note that stores a copy of every tensor under its name."""

    def keep(name: str, tensor: Tensor) -> None:
        base[name] = tensor.detach().clone()

    return keep


@dataclass(frozen=True)
class RowOutputs:
    """What a run computes with one row of the ledger switched on."""

    entry: Entry
    alone: Outputs
    """Everything else as in `julia`."""
    added: Outputs
    """The rows before it as in `paper`, too."""
    first: FirstChange | None
    """The first tensor that the row alone changes."""


def contributions(
    origin: Origin, julia: Outputs, paper: Outputs, rows: Sequence[RowOutputs], config: Config
) -> tuple[Contribution, ...]:
    """What each row contributes, in the order in which they are switched on."""
    found, before = [], julia
    for row in rows:
        entry, alone = row.entry, output_change(row.alone, julia)
        found.append(
            Contribution(
                entry=entry.id,
                row=entry.row,
                switch=entry.switch,
                alone=alone,
                added=output_change(row.added, before),
                left=output_change(paper, row.added),
                first="" if row.first is None else row.first.name,
                measured={
                    size.quantity: measure(size.quantity, row.first, alone, julia.rms, config)
                    for size in sizes(entry, origin)
                },
            )
        )
        before = row.added
    return tuple(found)


def measure(quantity: str, first: FirstChange | None, alone: OutputChange, julia_rms: float, config: Config) -> float:
    """One of the ledger's `QUANTITIES`, of a row switched on alone. A row that changes nothing measures 0."""
    if quantity == "logits":
        return _over(alone.rms, julia_rms)
    if quantity == "loss":
        return abs(alone.loss)
    if first is None:
        return 0.0
    if quantity == "rows":
        rows_before = 0 if first.before is None else len(first.before)
        return abs(len(first.after) - rows_before) / config.max_memory
    relative = math.inf
    if first.before is not None and first.before.shape == first.after.shape:
        relative = _over(rms([first.after - first.before]), rms([first.before]))
    if quantity == "first * 2 emb":
        return relative * 2 * config.emb
    if quantity == "first / |sqrt(T / d) - 1|":
        queries = first.after.shape[-2] if first.after.ndim > 1 else 0
        return _over(relative, abs(math.sqrt(queries * config.heads / config.emb) - 1))
    return relative


def _over(size: float, scale: float) -> float:
    return size / scale if scale else math.inf if size else 0.0


def problems(
    origin: Origin,
    total: OutputChange,
    found: Sequence[Contribution],
    entries: Sequence[Entry],
    switches: Sequence[str],
) -> tuple[str, ...]:
    """What the ledger does not explain, in words.

    `switches` are all that exist; where a difference is left, those without an entry are named.
    """
    words = []
    left = found[-1].left if found else total
    if not left.is_zero:
        without = [switch for switch in switches if switch not in {entry.switch for entry in entries}]
        words.append(
            f"with every row of the ledger switched on, the logits still differ from paper's by {left.largest:.3g} and "
            f"the loss by {left.loss:.3g} nats: a difference that the ledger does not explain"
            + (f"; it has no entry for {', '.join(without)}" if without else "")
        )
    for contribution, entry in zip(found, entries, strict=True):
        words += _contradictions(origin, contribution, entry)
    return tuple(words)


def sizes(entry: Entry, origin: Origin) -> list[Size]:
    """The sizes of an entry that hold for weights and segments of this origin."""
    over = {"as run": ("as run",), "packaged": ("packaged", "recordings"), "given": ("recordings",)}[origin]
    return [size for size in entry.sizes if size.over in over]


def _contradictions(origin: Origin, found: Contribution, entry: Entry) -> list[str]:
    """Where a contribution is not what its entry says."""
    if not found.first:
        # Given weights and segments need not show every row; the run with training is made to.
        return [f"{entry.switch} contributes nothing"] if origin == "as run" else []
    words = []
    if not any(fnmatchcase(found.first, pattern) for pattern in entry.where.port):
        words.append(
            f"{entry.switch} is first seen at {found.first}, where the ledger says {' or '.join(entry.where.port)}"
        )
    for size in sizes(entry, origin):
        value = found.measured[size.quantity]
        if value not in size:
            words.append(
                f"{entry.switch} measures {value:.3g}, where the ledger says {size.low:g} to {size.high:g} "
                f"({size.quantity}: {QUANTITIES[size.quantity]})"
            )
    return words
