"""Replaying a recording with the port.

A replay is a stream of `Item`s, the port's tensors under the recording's names and in its layout, in order of
computation. The suite runs the stream several times in step: once in float64, then in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Precision:
    """How one replay computes."""

    dtype: torch.dtype
    nudged: int = 0
    """Which nudged run this is (`parity.tolerance.nudge`); 0 leaves every parameter as recorded."""


@dataclass(frozen=True)
class Item:
    """One tensor of a replay."""

    name: str
    tensor: Tensor
    where: str = ""
    exact: bool = False
    run: str = ""
    unit_dtype: torch.dtype = torch.float32
    """The dtype whose rounding the recorded number carries, whatever it is stored as."""
