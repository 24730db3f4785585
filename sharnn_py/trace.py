"""Handing out intermediates by name.

A forward pass takes a `Note`, a function of (name, tensor) that it calls with every intermediate in order of
computation; docs/tensors.md lists the names. The default, `silent`, does nothing, so nothing is kept alive and
nothing is computed that the result does not need.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Note = Callable[[str, Tensor], None]


def silent(name: str, tensor: Tensor) -> None:
    """Note nothing."""


def within(note: Note, prefix: str) -> Note:
    """`note`, with `prefix` before every name."""
    if note is silent:
        return silent
    return lambda name, tensor: note(prefix + name, tensor)
