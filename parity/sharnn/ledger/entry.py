"""What an entry of the ledger is; docs/ledger.md describes the fields."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from sharnn_py.config import Semantics

FORWARD_SWITCHES = ("layer_norm", "boom", "attention_scale", "memory_cut", "tied_bias")
"""The switches that show in a forward pass on given weights."""
RUN_SWITCHES = ("optimiser", "evaluation_state", "segment_lengths")
"""The switches of how the programs are run."""
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


class Size(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a difference was measured to be."""

    quantity: str
    """The quantity measured: one of `QUANTITIES` if the entry has a switch, else in words."""
    low: float
    """The smallest value measured, with the margin that docs/ledger.md tells."""
    high: float
    """The largest value measured, with the same margin."""
    over: str
    """The cases that the range holds for: a key of `OVER`."""

    def __post_init__(self) -> None:
        _check_known("over", self.over, OVER)
        if not 0 <= self.low <= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; it must be 0 <= low <= high")

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Patterns of the tensors at which a difference is first seen."""

    port: list[str]
    """The port's tensors (docs/tensors.md); `explain` checks them."""
    julia: list[str]
    """Tensors of SHA-RNN.jl's recordings; none if recordings do not show the difference."""
    paper: list[str]
    """Tensors of Smerity's recordings; none if recordings do not show the difference."""


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The commits at which a difference was measured."""

    julia: str
    """A commit of SHA-RNN.jl."""
    paper: str
    """A commit of Smerity's program."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One known difference between the two programs."""

    id: str
    """Unique, and lasting: the name to cite an entry by."""
    title: str
    julia: str
    """What SHA-RNN.jl does."""
    paper: str
    """What Smerity's program does."""
    where: Where
    since: Since
    evidence: list[str]
    """Names of recordings, tests (`path::name`) and docs (`path#heading`) that show it."""
    row: int | None = None
    """The row of docs/semantics.md that it is, or is part of."""
    switch: str = ""
    """The entry's switch, one of `SWITCHES`; empty if it has none."""
    sizes: list[Size] = msgspec.field(name="size", default_factory=list)

    def __post_init__(self) -> None:
        if not self.evidence or (self.switch and not self.sizes):
            raise ValueError("it needs evidence" + (", and a size, as it has a switch" if self.switch else ""))
        if self.switch:
            _check_known("switch", self.switch, SWITCHES)
            for size in self.sizes:
                _check_known("size, quantity", size.quantity, QUANTITIES)

    def patterns(self, whose: Whose | None = None) -> list[str]:
        """The patterns of `where`: of one of the three, or of all."""
        return [p for name in self.where.__struct_fields__ if whose in (None, name) for p in getattr(self.where, name)]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict of the fields."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {"id": fields.pop("id"), "row": self.row, "switch": self.switch, "sizes": fields.pop("size"), **fields}


def _check_known(field: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ValueError(f"{field} is {value!r}; it must be one of {', '.join(map(repr, known))}")
