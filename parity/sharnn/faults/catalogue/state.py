"""Faults of what goes from one segment to the next: the state as it is returned, and as it is taken up."""

from __future__ import annotations

from parity.sharnn.faults.catalogue.source import in_block, in_model
from parity.sharnn.faults.fault import JULIA_1, JULIA_2, JULIA_4, JULIA_STEPS, PAPER_1, PAPER_2, Fault
from parity.sharnn.faults.plant import Edit

PLACE = "state"
RETURNED = "LayerState(h_n.detach(), c_n.detach(), memory.detach())"


def _returned(h: str = "h_n", c: str = "c_n", memory: str = "memory") -> Edit:
    """The state is returned with other tensors in it."""
    return in_block(RETURNED, f"LayerState(({h}).detach(), ({c}).detach(), ({memory}).detach())")


FAULTS = [
    Fault("h-and-c-returned-exchanged", PLACE, "h and c are returned in each other's place",
          _returned(h="c_n", c="h_n"), JULIA_1, "carry/1/blocks.1.h", r"\.c in the place of",
          scenes={"julia": "carries blocks.0.c in the place of blocks.0.h"},
          laws={"torch": "every_segment_is_the_plain_models (julia)"}),
    Fault("h-reset", PLACE, "h is returned as zeros", _returned(h="0 * h_n"), PAPER_1, "carry/1/blocks.0.h", r"zeros",
          scenes={"julia": "carries zeros on"}),
    Fault("c-reset", PLACE, "c is returned as zeros", _returned(c="0 * c_n"), JULIA_1, "carry/1/blocks.1.c", r"zeros"),
    Fault("h-carried-without-its-segment", PLACE, "h is returned as it was taken, one segment old",
          _returned(h="state.h"), JULIA_1, "carry/1/blocks.1.h", r"zeros|not updated",
          scenes={"julia": "carries on what came in"}, laws={"torch": "every_segment_is_the_plain_models (julia)"}),
    Fault("memory-not-carried", PLACE, "the memory is returned empty", _returned(memory="memory[:0]"),
          PAPER_2, "carry/1/blocks.0.memory", r"not updated|empty", scenes={"julia": "no rows"}),
    Fault("memory-carried-newest-first", PLACE, "the memory is turned round on its way out",
          _returned(memory="memory.flip(0)"), JULIA_2, "carry/1/blocks.1.memory", r"revers",
          scenes={"julia": "in reverse"}),
    Fault("memory-carried-normed-again", PLACE, "the memory is normed once more on its way out",
          _returned(memory="memory if self.lnmem is None else self.lnmem(memory)"),
          JULIA_2, "carry/1/blocks.1.memory", r"lnmem", scenes={"julia": "blocks.1.lnmem (layer norm)"}),
    Fault("oldest-memory-rows-carried", PLACE, "only the older half of the memory is returned",
          _returned(memory="memory[: len(memory) // 2]"), PAPER_2, "carry/1/blocks.0.memory", r"first 3 rows"),
    Fault("sequences-of-h-reversed", PLACE, "h is returned with the batch in reverse", _returned(h="h_n.flip(0)"),
          PAPER_1, "carry/1/blocks.0.h", r"revers.*batch", scenes={"julia": "reversed along the batch axis"}),
    Fault("sequences-of-the-memory-reversed", PLACE, "the memory is returned with the batch in reverse",
          _returned(memory="memory.flip(1)"), PAPER_2, "carry/1/blocks.0.memory", r"revers.*batch"),
    Fault("h-carried-in-float16", PLACE, "h is carried on in half precision", _returned(h="h_n.half().to(h_n.dtype)"),
          JULIA_1, "carry/1/blocks.1.h", r"\bfloat16"),
    Fault("c-carried-in-bfloat16", PLACE, "c is carried on in bfloat16", _returned(c="c_n.bfloat16().to(c_n.dtype)"),
          PAPER_1, "carry/1/blocks.0.c", r"bfloat16"),
    Fault("state-left-in-float16", PLACE, "h is returned as a half precision tensor, which the next segment refuses",
          _returned(h="h_n.half()"), JULIA_1, "carry/1/blocks.1.h", r"\bfloat16"),
    Fault("state-never-taken-up", PLACE, "every segment starts anew, whatever state is given",
          in_model("if state is None:", "if True:"), JULIA_STEPS, "eval/2/blocks.1.rnn", r"zeros"),
    Fault("state-never-taken-up-in-the-papers", PLACE, "the same, with the paper's program",
          in_model("if state is None:", "if True:"), PAPER_2, "eval/2/blocks.0.rnn", r"zeros"),
    Fault("state-of-the-block-before", PLACE, "every block takes up the state of the block before it",
          in_model(
            "layer, noted = state.layers[i],",
            "layer, noted = LayerState(state.layers[i - 1].h, state.layers[i - 1].c, state.layers[i].memory),",
        ), JULIA_4, "eval/2/blocks.1.rnn", r"blocks\.3",
          scenes={"julia": "before.blocks.2.h, before.blocks.2.c (of blocks.2.rnn)"}),
    Fault("memory-taken-up-newest-first", PLACE, "the memory is turned round where it is taken up",
          in_model("layer.memory[rows_dropped", "layer.memory.flip(0)[rows_dropped"),
          JULIA_2, "eval/2/mem_in.1", r"revers", scenes={"julia": "reversed along the time axis"}),
    Fault("c-carried-in-float16", PLACE, "", _returned(c="c_n.half().to(c_n.dtype)"),
          scenes={"julia": "rounded to float16"}),
    Fault("oldest-row-not-carried", PLACE, "the memory is returned without its oldest row",
          _returned(memory="memory[1:]"), scenes={"julia": "keeps the last 7 rows"}),
    Fault("new-rows-alone-carried", PLACE, "", _returned(memory="memory if self.lnmem is None else new"),
          scenes={"julia": "rows"}),
    Fault("blocks-returned-in-reverse", PLACE, "the last block's state is returned as the first block's",
          in_model("carried.append(layer)", "carried.insert(0, layer)"), scenes={"julia": "takes blocks.2.h"}),
    Fault("c-carried-without-its-segment", PLACE, "c is returned as it was taken, one segment old",
          _returned(c="state.c"), laws={"torch": "every_segment_is_the_plain_models (julia)"}),
]  # fmt: skip
