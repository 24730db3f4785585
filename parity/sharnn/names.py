"""The names under which each program's tensors were recorded, and the port's names for the same tensors.

Flat tables of (recorded name, the port's name, layout). `*` is the block's number: from 1 in SHA-RNN.jl's
recordings, from 0 in Smerity's and in the port. docs/tensors.md describes what each tensor is.
"""

from parity.subject.segment_run import SAME, Layout
from sharnn_py.config import Config, Program

# Reversed axes put keys before queries, and features before time.
SWAPPED = Layout(
    lambda x: x.mT, lambda x: x.mT, lambda axis, axes: {axes - 2: axes - 1, axes - 1: axes - 2}.get(axis, axis)
)
ONE_ROW = Layout(lambda x: x[None], lambda x: x[0], lambda axis, axes: axis + 1)
TWO_ROWS = Layout(lambda x: x[None, None], lambda x: x[0, 0], lambda axis, axes: axis + 2)

HEADS_FIRST = ("attn.qk", "attn.scores", "attn.masked_scores", "attn.focus", "attn.mix_heads")
"""The tensors of shape (B, A, T, ...), by their names inside a block."""

Rows = list[tuple[str, str, Layout]]


def _own(inside: str, names: str, layout: Layout = SAME) -> Rows:
    """Tensors, their names separated by spaces, that were recorded under the port's own."""
    return [(f"{inside}{name}", f"{inside}{name}", layout) for name in names.split()]


JULIA_OUTSIDE_BLOCKS = _own("", "embed h_final logits")

JULIA_BLOCK: Rows = [
    ("mem_in.*", "blocks.*.memory_in", SAME),
    *_own("blocks.*.", "in lnstart rnn"),
    ("blocks.*.hidden_h", "blocks.*.h", ONE_ROW),
    ("blocks.*.hidden_c", "blocks.*.c", ONE_ROW),
    *_own("blocks.*.", "post_rnn lnmem"),
    ("blocks.*.bigh", "blocks.*.keys", SAME),
    ("blocks.*.new_mem", "blocks.*.memory", SAME),
    ("mask", "blocks.*.mask", SWAPPED),
    *_own("blocks.*.", "lnmid"),
    ("blocks.*.attn.sig_qs", "blocks.*.attn.qs", ONE_ROW),
    ("blocks.*.attn.sig_ks", "blocks.*.attn.ks", ONE_ROW),
    ("blocks.*.attn.sig_vs", "blocks.*.attn.vs", ONE_ROW),
    ("blocks.*.attn.overparam_vs", "blocks.*.attn.overparam", ONE_ROW),
    *_own("blocks.*.attn.", "q_linear q_ln q k v"),
    *_own("blocks.*.", " ".join(HEADS_FIRST), SWAPPED),
    *_own("blocks.*.", "attn.mix post_attn lnff lnxff"),
    ("blocks.*.boom_lin1", "blocks.*.boom_linear", SAME),
    *_own("blocks.*.", "boom_gelu boom out"),
]

SMERITY_OUTSIDE_BLOCKS: Rows = [("encoder", "embed", SAME), *_own("", "h_final logits")]

SMERITY_BLOCK: Rows = [
    *_own("blocks.*.", "lnstart rnn"),
    ("blocks.*.rnn.h", "blocks.*.h", ONE_ROW),
    ("blocks.*.rnn.c", "blocks.*.c", ONE_ROW),
    *_own("blocks.*.", "lnmem"),
    ("blocks.*.new_mem", "blocks.*.memory", SAME),
    *_own("blocks.*.", "lnmid"),
    ("blocks.*.attn.vq.l1", "blocks.*.attn.overparam_linear", TWO_ROWS),
    ("blocks.*.attn.vq", "blocks.*.attn.overparam", TWO_ROWS),
    ("blocks.*.attn.q", "blocks.*.attn.q_linear", SAME),
    ("blocks.*.attn.qln", "blocks.*.attn.q_ln", SAME),
    *_own("blocks.*.", "attn.focus attn.mix lnff lnxff"),
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


WITHOUT_TIME = ("memory_in", "h", "c", "keys", "memory", "attn.qs", "attn.ks", "attn.vs", "attn.overparam_linear",
                "attn.overparam", "attn.k", "attn.v")  # fmt: skip
"""The tensors without a time axis of T steps, by their names inside a block."""


def time_axis(ours: str) -> int | None:
    """The axis of the segment's T steps in the port's tensor of this name."""
    inside = ours.split(".", 2)[2] if ours.startswith("blocks.") else ours
    if inside in WITHOUT_TIME:
        return None
    return 2 if inside in HEADS_FIRST else 0
