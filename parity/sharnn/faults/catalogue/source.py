"""Edits of the functions that most faults are in."""

from __future__ import annotations

from parity.sharnn.faults.plant import Edit

BLOCK = "sharnn_py.model:Block.forward"


def in_block(old: str, new: str) -> Edit:
    """One of a block's forward pass."""
    return Edit(BLOCK, old, new)


def in_model(old: str, new: str) -> Edit:
    """One of the model's forward pass."""
    return Edit("sharnn_py.model:SHARNN.forward", old, new)


def attention(old: str, new: str) -> Edit:
    """One of attention's forward pass."""
    return Edit("sharnn_py.layers:Attention.forward", old, new)
