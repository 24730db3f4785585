"""Telling a caller of every intermediate by name, and letting the caller replace it.

A forward pass takes a `Note`, a function of (name, tensor) that it calls with every intermediate in order of
computation; docs/tensors.md lists the names. A tensor that a note returns replaces the intermediate in the computation;
None changes nothing, as with torch's own hooks. Without a note nothing is kept alive, and nothing is computed that the
result does not need.
"""

from collections.abc import Callable

from torch import Tensor

Note = Callable[[str, Tensor], Tensor | None]
"""What a caller gives: a function of a name and a tensor, which returns a replacement or None."""
Pass = Callable[[str, Tensor], Tensor]
"""What the model calls: a note that always returns the tensor to continue with."""


def silent(name: str, tensor: Tensor) -> Tensor:
    """The note that does nothing."""
    return tensor


def passing(note: Note | None) -> Pass:
    """`note` as a `Pass`: where it returns None, the tensor itself is returned. Without a note, `silent`."""
    if note is None:
        return silent

    def noted(name: str, tensor: Tensor) -> Tensor:
        other = note(name, tensor)
        return tensor if other is None else other

    return noted


def within(note: Pass, prefix: str) -> Pass:
    """`note` with `prefix` put before every name."""
    if note is silent:
        return silent
    return lambda name, tensor: note(prefix + name, tensor)
