"""The whole difference between two runs, row by row, and whether the ledger's entries are borne out by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from parity.sharnn.attribution.outputs import Outputs, change
from parity.sharnn.attribution.results import Change, Contribution, Kind
from parity.sharnn.attribution.watch import First, measure
from parity.sharnn.ledger.entry import QUANTITIES, Entry, Size
from sharnn_py.config import Config


@dataclass(frozen=True)
class Switched:
    """What came out with one row switched on."""

    entry: Entry
    alone: Outputs
    """Everything else as in `julia`."""
    added: Outputs
    """The rows before it as in `paper`, too."""
    first: First | None
    """The first tensor that the row alone changes."""


def contributions(
    kind: Kind, julia: Outputs, paper: Outputs, rows: Sequence[Switched], config: Config
) -> tuple[Contribution, ...]:
    """What each row contributes to a case, in the order they are switched on."""
    found, before = [], julia
    for row in rows:
        entry, alone = row.entry, change(row.alone, julia)
        wanted = [size.quantity for size in sizes(entry, kind)]
        found.append(
            Contribution(
                entry=entry.id,
                row=entry.row,
                switch=entry.switch,
                alone=alone,
                added=change(row.added, before),
                left=change(paper, row.added),
                first="" if row.first is None else row.first.name,
                measured={q: measure(q, row.first, alone, julia.rms, config) for q in wanted},
            )
        )
        before = row.added
    return tuple(found)


def problems(
    kind: Kind, total: Change, found: Sequence[Contribution], entries: Sequence[Entry], switches: Sequence[str]
) -> tuple[str, ...]:
    """What the ledger does not explain of a case, in words.

    `switches` are all there are; one that has no entry is named where a difference is left.
    """
    words = []
    left = found[-1].left if found else total
    if not left.is_zero:
        without = [switch for switch in switches if switch not in {entry.switch for entry in entries}]
        words.append(
            f"with every row of the ledger switched on, logits are still off from paper's by {left.largest:.3g} and "
            f"the loss by {left.loss:.3g} nats: a difference that the ledger does not explain"
            + (f"; it has no entry for {', '.join(without)}" if without else "")
        )
    for contribution, entry in zip(found, entries, strict=True):
        words += _unlike(kind, contribution, entry)
    return tuple(words)


def sizes(entry: Entry, kind: Kind) -> list[Size]:
    """The sizes of an entry that speak of such a case."""
    over = {"as run": ("as run",), "packaged": ("packaged", "recordings"), "given": ("recordings",)}[kind]
    return [size for size in entry.sizes if size.over in over]


def _unlike(kind: Kind, found: Contribution, entry: Entry) -> list[str]:
    """How a contribution is unlike what its entry says."""
    if not found.first:
        # Given weights and segments need not show every row; the run of both programs is made to.
        return [f"{entry.switch} contributes nothing"] if kind == "as run" else []
    words = []
    if not any(fnmatchcase(found.first, pattern) for pattern in entry.where_port):
        words.append(
            f"{entry.switch} is first seen at {found.first}, where the ledger says {' or '.join(entry.where_port)}"
        )
    for size in sizes(entry, kind):
        value = found.measured[size.quantity]
        if value not in size:
            words.append(
                f"{entry.switch} measures {value:.3g}, where the ledger says {size.low:g} to {size.high:g} "
                f"({size.quantity}: {QUANTITIES[size.quantity]})"
            )
    return words
