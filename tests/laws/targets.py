"""The back ends that the laws are tried on: one line each."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from parity.laws import Backend, SHARNNTarget, Spec
from parity.laws.backends import OnnxBackend, TorchBackend
from parity.laws.engine_backend import EngineBackend


@lru_cache(256)
def export(spec: Spec) -> OnnxBackend:
    """One export of a model, for every way of feeding it: it costs as much as a hundred segments."""
    return OnnxBackend(spec.config, spec.parameters())


@lru_cache(256)
def engine(spec: Spec) -> EngineBackend:
    """One engine on that export, for all sequences of all laws."""
    return EngineBackend(export(spec).folder)


SMALL_RINGS = (1, 2, 4)
"""In place of `export.serving.ring.BUCKETS`: so small that a memory of a few rows grows through them."""
SHORT_PATIENCE = 2
"""In place of `export.serving.seats.PATIENCE`: so short that sequences change their seats."""

MAKERS: dict[str, Callable[[Spec], Backend]] = {
    "torch float32": lambda spec: TorchBackend(spec.config, spec.parameters()),
    "torch float64": lambda spec: TorchBackend(spec.config, spec.parameters(), np.float64),
    "onnx segment": lambda spec: export(spec).fed_by("segment"),
    "onnx step": lambda spec: export(spec).fed_by("step"),
    "onnx either": lambda spec: export(spec).fed_by("either"),
    "engine": lambda spec: engine(spec).fed_by("either"),
    "engine step": lambda spec: engine(spec).fed_by("step"),
}
TARGETS = {
    f"{name}, {semantics}": SHARNNTarget(make, semantics=semantics)
    for name, make in MAKERS.items()
    for semantics in ("julia", "paper")
}
