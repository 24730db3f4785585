"""Faults of the data code."""

from __future__ import annotations

from parity.sharnn.faults.fault import DATA, Mutant
from parity.sharnn.faults.plant import Edit

PLACE = "data"

MUTANTS = [
    Mutant(
        "tokens-laid-out-step-by-step", PLACE, "neighbouring tokens go to different sequences of the batch",
        DATA, "batches/0/dataarray", None,
        Edit("sharnn_py.batches:lay_out", ".reshape(batch, steps).T", ".reshape(steps, batch)"),
    ),
    Mutant(
        "targets-not-ahead", PLACE, "the targets are the inputs",
        DATA, "batches/0/y", None, Edit("sharnn_py.batches:segments", "data[start + 1 : stop + 1]", "data[start:stop]"),
    ),
]  # fmt: skip
