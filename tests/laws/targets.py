"""The back ends that the laws are tried on, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from julia_bridge import Worker
from parity.laws.backend import Backend
from parity.laws.backends import JuliaBackend, OnnxBackend, TorchBackend
from parity.laws.laws import Subject
from parity.laws.strategies import Spec

KEPT = 256
"""Back ends kept to be used again: an export or a parameter transfer costs as much as a hundred segments."""


def torch_float32(spec: Spec) -> Backend:
    return TorchBackend(spec.config, spec.parameters())


def torch_float64(spec: Spec) -> Backend:
    return TorchBackend(spec.config, spec.parameters(), np.float64)


@lru_cache(KEPT)
def onnx_segment(spec: Spec) -> Backend:
    return OnnxBackend(spec.config, spec.parameters(), "segment")


@lru_cache(KEPT)
def onnx_step(spec: Spec) -> Backend:
    return OnnxBackend(spec.config, spec.parameters(), "step")


@lru_cache(KEPT)
def onnx_either(spec: Spec) -> Backend:
    return OnnxBackend(spec.config, spec.parameters())


def julia(worker: Worker) -> Callable[[Spec], Backend]:
    return lambda spec: JuliaBackend(spec.config, spec.parameters(), worker)


SMALL_RINGS = (1, 2, 4)
"""In place of `export.serving.ring.BUCKETS`: so small that a memory of a few rows grows through them."""

MAKERS = {
    "torch float32": torch_float32, "torch float64": torch_float64,
    "onnx segment": onnx_segment, "onnx step": onnx_step, "onnx either": onnx_either,
}  # fmt: skip
SUBJECTS = {
    f"{name}, {semantics}": Subject(make, semantics)  # type: ignore[arg-type]
    for name, make in MAKERS.items()
    for semantics in ("julia", "paper")
}
