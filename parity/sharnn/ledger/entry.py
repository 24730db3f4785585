"""What an entry of the ledger is; docs/ledger.md describes the fields."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from sharnn_py.config import Semantics

FORWARD_SWITCHES = ("layer_norm", "boom", "attention_scale", "memory_cut", "tied_bias")
"""What shows in a forward pass on given weights."""
RUN_SWITCHES = ("optimiser", "evaluation_state", "segment_lengths")
"""How the programs are run."""
SWITCHES = (*(field.name for field in dataclasses.fields(Semantics)), *RUN_SWITCHES)
"""Every switch that an entry may name: the fields of `Semantics`, and `RUN_SWITCHES`."""

QUANTITIES = {
    "first": "rms of the change of the first tensor that changes, over that tensor's rms",
    "first * 2 emb": "the same times 2 emb",
    "first / |sqrt(T / d) - 1|": "the same over |sqrt(T / d) - 1|, T queries and d = emb / heads",
    "rows": "memory rows that one program attends to and the other does not, over max_memory",
    "logits": "rms of the change of the logits, over their rms",
    "loss": "size of the change of the loss, nats a token",
}
"""What `sharnn parity explain` measures of an entry with a switch."""

OVER = {
    "as run": "the run of both programs as they are, with training",
    "packaged": "the packaged recordings",
    "recordings": "any recording",
}
"""The cases that a size can speak of."""

Whose = Literal["port", "julia", "paper"]
"""Whose tensor a name is."""


@dataclass(frozen=True)
class Size:
    """How large a difference was measured to be."""

    quantity: str
    """Of `QUANTITIES` if the entry has a switch, else in words."""
    low: float
    high: float
    """The smallest and largest value measured, with the margin that docs/ledger.md tells."""
    over: str
    """Of `OVER`: the cases that the range holds for."""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Entry:
    """One known difference. All fields are plain, for reports."""

    id: str
    """Unique, and lasting: the name to cite an entry by."""
    row: int | None
    """The row of docs/semantics.md that it is, or is part of."""
    switch: str
    """Of `SWITCHES`; empty for what has none."""
    title: str
    julia: str
    """What SHA-RNN.jl does."""
    paper: str
    """What Smerity's program does."""
    where_port: list[str]
    """Patterns of the port's tensors (docs/tensors.md) at which it is first seen; `explain` checks them."""
    where_julia: list[str]
    """Patterns of tensors of SHA-RNN.jl's recordings at which it is first seen; none if recordings do not show it."""
    where_paper: list[str]
    """The same of Smerity's."""
    since_julia: str
    """The commit of SHA-RNN.jl at which it was measured."""
    since_paper: str
    """The commit of Smerity's program at which it was measured."""
    sizes: list[Size]
    evidence: list[str]
    """Names of recordings, tests (`path::name`) and docs (`path#heading`) that show it."""

    def where(self, whose: Whose | None = None) -> list[str]:
        """The patterns of one of the three, or of all."""
        patterns = {"port": self.where_port, "julia": self.where_julia, "paper": self.where_paper}
        return [pattern for name, listed in patterns.items() if whose in (None, name) for pattern in listed]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict of the fields."""
        return dataclasses.asdict(self)
