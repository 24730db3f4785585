"""Tensors at addresses: the whole of an OrtValue, or a part of one that graphs read and write as their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import IOBinding, OrtValue

from export.serving.providers import Device


@dataclass(frozen=True)
class Place:
    """A tensor within `value`, from its number `first` on."""

    value: OrtValue
    device: Device
    dtype: Any
    shape: tuple[int, ...]
    first: int = 0

    @property
    def _at(self) -> tuple[Any, ...]:
        address = self.value.data_ptr() + self.first * np.dtype(self.dtype).itemsize
        return (*self.device, np.dtype(self.dtype).type, list(self.shape), address)

    def bind_input(self, binding: IOBinding, name: str) -> None:
        """Let the graph read its input `name` here. The binding does not keep the memory alive."""
        binding.bind_input(name, *self._at)

    def bind_output(self, binding: IOBinding, name: str) -> None:
        """Let the graph write its output `name` here. The binding does not keep the memory alive."""
        binding.bind_output(name, *self._at)


def placed(array: NDArray[Any], device: Device) -> Place:
    """A copy of `array` on `device`; on the CPU, `array` itself if it is contiguous."""
    value = OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), *device)
    return Place(value, device, array.dtype, array.shape)


def reserved(numbers: int, dtype: Any, device: Device) -> OrtValue:
    """Memory for as many numbers, zeros to begin. On the CPU a page takes room once it is written."""
    return OrtValue.ortvalue_from_numpy(np.zeros(max(numbers, 1), dtype), *device)


def size(shape: tuple[int, ...]) -> int:
    """How many numbers a tensor of this shape has."""
    return math.prod(shape)
