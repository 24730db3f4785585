"""Faults of the data code."""

from __future__ import annotations

from parity.sharnn.faults.fault import DATA, Fault
from parity.sharnn.faults.plant import Edit

PLACE = "data"

FAULTS = [
    Fault("tokens-laid-out-step-by-step", PLACE, "neighbouring tokens go to different sequences of the batch",
          Edit("sharnn_py.batches:lay_out", ".reshape(batch, steps).T", ".reshape(steps, batch)"),
          DATA, "batches/0/dataarray"),
    Fault("targets-not-ahead", PLACE, "the targets are the inputs",
          Edit("sharnn_py.batches:segments", "data[start + 1 : stop + 1]", "data[start:stop]"), DATA, "batches/0/y"),
]  # fmt: skip
