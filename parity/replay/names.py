"""The names under which each program's tensors were recorded, and the port's names for the same tensors.

Flat tables of (recorded name, the port's name, layout). `*` is the block's number: from 1 in SHA-RNN.jl's
recordings, from 0 in Smerity's and in the port. docs/tensors.md describes what each tensor is.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sharnn_py.config import Config, Program

ToRecorded = Callable[[Tensor], Tensor]


def same(x: Tensor) -> Tensor:
    """As it is."""
    return x


def swapped(x: Tensor) -> Tensor:
    """The last two axes exchanged: reversed axes put keys before queries, and features before time."""
    return x.mT


def one_row(x: Tensor) -> Tensor:
    """(H,) or (B, H) with a leading axis of 1."""
    return x[None]


def two_rows(x: Tensor) -> Tensor:
    """(H,) with two leading axes of 1."""
    return x[None, None]


JULIA_OUTSIDE_BLOCKS: list[tuple[str, str, ToRecorded]] = [
    ("embed", "embed", same),
    ("h_final", "h_final", same),
    ("logits", "logits", same),
]

JULIA_BLOCK: list[tuple[str, str, ToRecorded]] = [
    ("mem_in.*", "blocks.*.memory_in", same),
    ("blocks.*.in", "blocks.*.in", same),
    ("blocks.*.lnstart", "blocks.*.lnstart", same),
    ("blocks.*.rnn", "blocks.*.rnn", same),
    ("blocks.*.hidden_h", "blocks.*.h", one_row),
    ("blocks.*.hidden_c", "blocks.*.c", one_row),
    ("blocks.*.post_rnn", "blocks.*.post_rnn", same),
    ("blocks.*.lnmem", "blocks.*.lnmem", same),
    ("blocks.*.bigh", "blocks.*.keys", same),
    ("blocks.*.new_mem", "blocks.*.memory", same),
    ("mask", "blocks.*.mask", swapped),
    ("blocks.*.lnmid", "blocks.*.lnmid", same),
    ("blocks.*.attn.sig_qs", "blocks.*.attn.qs", one_row),
    ("blocks.*.attn.sig_ks", "blocks.*.attn.ks", one_row),
    ("blocks.*.attn.sig_vs", "blocks.*.attn.vs", one_row),
    ("blocks.*.attn.overparam_vs", "blocks.*.attn.overparam", one_row),
    ("blocks.*.attn.q_linear", "blocks.*.attn.q_linear", same),
    ("blocks.*.attn.q_ln", "blocks.*.attn.q_ln", same),
    ("blocks.*.attn.q", "blocks.*.attn.q", same),
    ("blocks.*.attn.k", "blocks.*.attn.k", same),
    ("blocks.*.attn.v", "blocks.*.attn.v", same),
    ("blocks.*.attn.qk", "blocks.*.attn.qk", swapped),
    ("blocks.*.attn.scores", "blocks.*.attn.scores", swapped),
    ("blocks.*.attn.masked_scores", "blocks.*.attn.masked_scores", swapped),
    ("blocks.*.attn.focus", "blocks.*.attn.focus", swapped),
    ("blocks.*.attn.mix_heads", "blocks.*.attn.mix_heads", swapped),
    ("blocks.*.attn.mix", "blocks.*.attn.mix", same),
    ("blocks.*.post_attn", "blocks.*.post_attn", same),
    ("blocks.*.lnff", "blocks.*.lnff", same),
    ("blocks.*.lnxff", "blocks.*.lnxff", same),
    ("blocks.*.boom_lin1", "blocks.*.boom_linear", same),
    ("blocks.*.boom_gelu", "blocks.*.boom_gelu", same),
    ("blocks.*.boom", "blocks.*.boom", same),
    ("blocks.*.out", "blocks.*.out", same),
]

SMERITY_OUTSIDE_BLOCKS: list[tuple[str, str, ToRecorded]] = [
    ("encoder", "embed", same),
    ("h_final", "h_final", same),
    ("logits", "logits", same),
]

SMERITY_BLOCK: list[tuple[str, str, ToRecorded]] = [
    ("blocks.*.lnstart", "blocks.*.lnstart", same),
    ("blocks.*.rnn", "blocks.*.rnn", same),
    ("blocks.*.rnn.h", "blocks.*.h", one_row),
    ("blocks.*.rnn.c", "blocks.*.c", one_row),
    ("blocks.*.lnmem", "blocks.*.lnmem", same),
    ("blocks.*.new_mem", "blocks.*.memory", same),
    ("blocks.*.lnmid", "blocks.*.lnmid", same),
    ("blocks.*.attn.vq.l1", "blocks.*.attn.overparam_linear", two_rows),
    ("blocks.*.attn.vq", "blocks.*.attn.overparam", two_rows),
    ("blocks.*.attn.q", "blocks.*.attn.q_linear", same),
    ("blocks.*.attn.qln", "blocks.*.attn.q_ln", same),
    ("blocks.*.attn.focus", "blocks.*.attn.focus", same),
    ("blocks.*.attn.mix", "blocks.*.attn.mix", same),
    ("blocks.*.lnff", "blocks.*.lnff", same),
    ("blocks.*.lnxff", "blocks.*.lnxff", same),
    ("blocks.*.ff.linear1", "blocks.*.boom_linear", same),
    ("blocks.*.ff.act", "blocks.*.boom_gelu", same),
    ("blocks.*.ff", "blocks.*.boom", same),
]


def first_block(program: Program) -> int:
    """The number of the first block in the program's recordings."""
    return 1 if program == "julia" else 0


def intermediates(program: Program, config: Config) -> dict[str, tuple[str, ToRecorded]]:
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
