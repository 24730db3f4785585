"""The names under which each program's tensors were recorded, and the port's names for the same tensors.

Flat tables of (recorded name, the port's name, layout). `*` is the block's number: from 1 in SHA-RNN.jl's
recordings, from 0 in Smerity's and in the port. docs/tensors.md describes what each tensor is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sharnn_py.config import Config, Program


@dataclass(frozen=True)
class Layout:
    """How one of the port's tensors was recorded. Both directions only move numbers."""

    to_recorded: Callable[[Tensor], Tensor]
    to_ours: Callable[[Tensor], Tensor]
    axis: Callable[[int, int], int]
    """Where an axis of the port's tensor is in the recorded one; the second number is how many axes there are."""


SAME = Layout(lambda x: x, lambda x: x, lambda axis, axes: axis)
# Reversed axes put keys before queries, and features before time.
SWAPPED = Layout(
    lambda x: x.mT, lambda x: x.mT, lambda axis, axes: {axes - 2: axes - 1, axes - 1: axes - 2}.get(axis, axis)
)
ONE_ROW = Layout(lambda x: x[None], lambda x: x[0], lambda axis, axes: axis + 1)
TWO_ROWS = Layout(lambda x: x[None, None], lambda x: x[0, 0], lambda axis, axes: axis + 2)

JULIA_OUTSIDE_BLOCKS: list[tuple[str, str, Layout]] = [
    ("embed", "embed", SAME),
    ("h_final", "h_final", SAME),
    ("logits", "logits", SAME),
]

JULIA_BLOCK: list[tuple[str, str, Layout]] = [
    ("mem_in.*", "blocks.*.memory_in", SAME),
    ("blocks.*.in", "blocks.*.in", SAME),
    ("blocks.*.lnstart", "blocks.*.lnstart", SAME),
    ("blocks.*.rnn", "blocks.*.rnn", SAME),
    ("blocks.*.hidden_h", "blocks.*.h", ONE_ROW),
    ("blocks.*.hidden_c", "blocks.*.c", ONE_ROW),
    ("blocks.*.post_rnn", "blocks.*.post_rnn", SAME),
    ("blocks.*.lnmem", "blocks.*.lnmem", SAME),
    ("blocks.*.bigh", "blocks.*.keys", SAME),
    ("blocks.*.new_mem", "blocks.*.memory", SAME),
    ("mask", "blocks.*.mask", SWAPPED),
    ("blocks.*.lnmid", "blocks.*.lnmid", SAME),
    ("blocks.*.attn.sig_qs", "blocks.*.attn.qs", ONE_ROW),
    ("blocks.*.attn.sig_ks", "blocks.*.attn.ks", ONE_ROW),
    ("blocks.*.attn.sig_vs", "blocks.*.attn.vs", ONE_ROW),
    ("blocks.*.attn.overparam_vs", "blocks.*.attn.overparam", ONE_ROW),
    ("blocks.*.attn.q_linear", "blocks.*.attn.q_linear", SAME),
    ("blocks.*.attn.q_ln", "blocks.*.attn.q_ln", SAME),
    ("blocks.*.attn.q", "blocks.*.attn.q", SAME),
    ("blocks.*.attn.k", "blocks.*.attn.k", SAME),
    ("blocks.*.attn.v", "blocks.*.attn.v", SAME),
    ("blocks.*.attn.qk", "blocks.*.attn.qk", SWAPPED),
    ("blocks.*.attn.scores", "blocks.*.attn.scores", SWAPPED),
    ("blocks.*.attn.masked_scores", "blocks.*.attn.masked_scores", SWAPPED),
    ("blocks.*.attn.focus", "blocks.*.attn.focus", SWAPPED),
    ("blocks.*.attn.mix_heads", "blocks.*.attn.mix_heads", SWAPPED),
    ("blocks.*.attn.mix", "blocks.*.attn.mix", SAME),
    ("blocks.*.post_attn", "blocks.*.post_attn", SAME),
    ("blocks.*.lnff", "blocks.*.lnff", SAME),
    ("blocks.*.lnxff", "blocks.*.lnxff", SAME),
    ("blocks.*.boom_lin1", "blocks.*.boom_linear", SAME),
    ("blocks.*.boom_gelu", "blocks.*.boom_gelu", SAME),
    ("blocks.*.boom", "blocks.*.boom", SAME),
    ("blocks.*.out", "blocks.*.out", SAME),
]

SMERITY_OUTSIDE_BLOCKS: list[tuple[str, str, Layout]] = [
    ("encoder", "embed", SAME),
    ("h_final", "h_final", SAME),
    ("logits", "logits", SAME),
]

SMERITY_BLOCK: list[tuple[str, str, Layout]] = [
    ("blocks.*.lnstart", "blocks.*.lnstart", SAME),
    ("blocks.*.rnn", "blocks.*.rnn", SAME),
    ("blocks.*.rnn.h", "blocks.*.h", ONE_ROW),
    ("blocks.*.rnn.c", "blocks.*.c", ONE_ROW),
    ("blocks.*.lnmem", "blocks.*.lnmem", SAME),
    ("blocks.*.new_mem", "blocks.*.memory", SAME),
    ("blocks.*.lnmid", "blocks.*.lnmid", SAME),
    ("blocks.*.attn.vq.l1", "blocks.*.attn.overparam_linear", TWO_ROWS),
    ("blocks.*.attn.vq", "blocks.*.attn.overparam", TWO_ROWS),
    ("blocks.*.attn.q", "blocks.*.attn.q_linear", SAME),
    ("blocks.*.attn.qln", "blocks.*.attn.q_ln", SAME),
    ("blocks.*.attn.focus", "blocks.*.attn.focus", SAME),
    ("blocks.*.attn.mix", "blocks.*.attn.mix", SAME),
    ("blocks.*.lnff", "blocks.*.lnff", SAME),
    ("blocks.*.lnxff", "blocks.*.lnxff", SAME),
    ("blocks.*.ff.linear1", "blocks.*.boom_linear", SAME),
    ("blocks.*.ff.act", "blocks.*.boom_gelu", SAME),
    ("blocks.*.ff", "blocks.*.boom", SAME),
]


def first_block(program: Program) -> int:
    """The number of the first block in the program's recordings."""
    return 1 if program == "julia" else 0


def intermediates(program: Program, config: Config) -> dict[str, tuple[str, Layout]]:
    """The port's name of every recorded intermediate, to its recorded name and layout."""
    outside, block = (
        (JULIA_OUTSIDE_BLOCKS, JULIA_BLOCK) if program == "julia" else (SMERITY_OUTSIDE_BLOCKS, SMERITY_BLOCK)
    )
    table = {ours: (theirs, layout) for theirs, ours, layout in outside}
    for i in range(config.layers):
        number = str(i + first_block(program))
        for theirs, ours, layout in block:
            table[ours.replace("*", str(i))] = (theirs.replace("*", number), layout)
    return table


HEADS_FIRST = ("attn.qk", "attn.scores", "attn.masked_scores", "attn.focus", "attn.mix_heads")
"""Inside a block, the tensors (B, A, T, ...)."""
WITHOUT_TIME = ("memory_in", "h", "c", "keys", "memory", "attn.qs", "attn.ks", "attn.vs", "attn.overparam_linear",
                "attn.overparam", "attn.k", "attn.v")  # fmt: skip
"""Inside a block, the tensors whose axes are not the segment's steps."""


def time_axis(ours: str) -> int | None:
    """The axis of the segment's T steps in the port's tensor of this name."""
    inside = ours.split(".", 2)[2] if ours.startswith("blocks.") else ours
    if inside in WITHOUT_TIME:
        return None
    return 2 if inside in HEADS_FIRST else 0
