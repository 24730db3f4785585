"""Faults of what goes from one segment to the next: the state as it is returned, and as it is taken up."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_2, JULIA_4, JULIA_STEPS, PAPER_1, PAPER_2, Mutant
from parity.sharnn.faults.plant import Edit

PLACE = "state"
BLOCK = "sharnn_py.model:Block.forward"
RETURNED = "LayerState(h_n.detach(), c_n.detach(), memory.detach())"


def _returned(h: str = "h_n", c: str = "c_n", memory: str = "memory") -> Edit:
    """The state is returned with other tensors in it."""
    return Edit(BLOCK, RETURNED, f"LayerState(({h}).detach(), ({c}).detach(), ({memory}).detach())")


def _taken(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:SHARNN.forward", old, new)


MUTANTS = [
    Mutant(
        "h-and-c-returned-exchanged", PLACE, "h and c are returned in each other's place",
        JULIA_1, "carry/1/blocks.1.h", r"\.c in the place of", _returned(h="c_n", c="h_n"),
    ),
    Mutant(
        "h-reset", PLACE, "h is returned as zeros",
        PAPER_1, "carry/1/blocks.0.h", r"zeros", _returned(h="0 * h_n"),
    ),
    Mutant(
        "c-reset", PLACE, "c is returned as zeros",
        JULIA_1, "carry/1/blocks.1.c", r"zeros", _returned(c="0 * c_n"),
    ),
    Mutant(
        "h-carried-without-its-segment", PLACE, "h is returned as it was taken, one segment old",
        JULIA_1, "carry/1/blocks.1.h", r"zeros|not updated", _returned(h="state.h"),
    ),
    Mutant(
        "memory-not-carried", PLACE, "the memory is returned empty",
        PAPER_2, "carry/1/blocks.0.memory", r"not updated|empty", _returned(memory="memory[:0]"),
    ),
    Mutant(
        "memory-carried-newest-first", PLACE, "the memory is turned round on its way out",
        JULIA_2, "carry/1/blocks.1.memory", r"revers", _returned(memory="memory.flip(0)"),
    ),
    Mutant(
        "memory-carried-normed-again", PLACE, "the memory is normed once more on its way out",
        JULIA_2, "carry/1/blocks.1.memory", r"lnmem",
        _returned(memory="memory if self.lnmem is None else self.lnmem(memory)"),
    ),
    Mutant(
        "oldest-memory-rows-carried", PLACE, "only the older half of the memory is returned",
        PAPER_2, "carry/1/blocks.0.memory", r"first 3 rows", _returned(memory="memory[: len(memory) // 2]"),
    ),
    Mutant(
        "sequences-of-h-reversed", PLACE, "h is returned with the batch in reverse",
        PAPER_1, "carry/1/blocks.0.h", r"revers.*batch", _returned(h="h_n.flip(0)"),
    ),
    Mutant(
        "sequences-of-the-memory-reversed", PLACE, "the memory is returned with the batch in reverse",
        PAPER_2, "carry/1/blocks.0.memory", r"revers.*batch", _returned(memory="memory.flip(1)"),
    ),
    Mutant(
        "h-carried-in-float16", PLACE, "h is carried on in half precision",
        JULIA_1, "carry/1/blocks.1.h", r"\bfloat16", _returned(h="h_n.half().to(h_n.dtype)"),
    ),
    Mutant(
        "c-carried-in-bfloat16", PLACE, "c is carried on in bfloat16",
        PAPER_1, "carry/1/blocks.0.c", r"bfloat16", _returned(c="c_n.bfloat16().to(c_n.dtype)"),
    ),
    Mutant(
        "state-left-in-float16", PLACE, "h is returned as a half precision tensor, which the next segment refuses",
        JULIA_1, "carry/1/blocks.1.h", r"\bfloat16", _returned(h="h_n.half()"),
    ),
    Mutant(
        "state-never-taken-up", PLACE, "every segment starts anew, whatever state is given",
        JULIA_STEPS, "eval/2/blocks.1.rnn", r"zeros", _taken("if state is None:", "if True:"),
    ),
    Mutant(
        "state-never-taken-up-in-the-papers", PLACE, "the same, with the paper's program",
        PAPER_2, "eval/2/blocks.0.rnn", r"zeros", _taken("if state is None:", "if True:"),
    ),
    Mutant(
        "state-of-the-block-before", PLACE, "every block takes up the state of the block before it",
        JULIA_4, "eval/2/blocks.1.rnn", r"blocks\.3",
        _taken(
            "layer, noted = state.layers[i],",
            "layer, noted = LayerState(state.layers[i - 1].h, state.layers[i - 1].c, state.layers[i].memory),",
        ),
    ),
    Mutant(
        "memory-taken-up-newest-first", PLACE, "the memory is turned round where it is taken up",
        JULIA_2, "eval/2/mem_in.1", r"revers", _taken("layer.memory[rows_dropped", "layer.memory.flip(0)[rows_dropped"),
    ),
]  # fmt: skip
