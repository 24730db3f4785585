"""Faults of the memory inside a segment: which rows are dropped, attended to and kept, and in which order."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_2, JULIA_4, JULIA_LONG, JULIA_LONG_4, PAPER_2, Mutant
from parity.sharnn.faults.plant import Edit


def _rule(old: str, new: str) -> Edit:
    return Edit("sharnn_py.memory:rows_dropped", old, new)


def _cut(new: str) -> Edit:
    return Edit("sharnn_py.model:SHARNN.forward", "layer.memory[rows_dropped(self.config, held, steps, i) :]", new)


def _in_block(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:Block.forward", old, new)


MUTANTS = [
    Mutant(
        "rule-drops-one-row-more", "memory cut", "the rule drops one row too many",
        JULIA_2, "eval/2/mem_start_idx", r"oldest 1 row\b",
        _rule("return max(0, first + T - N)", "return max(0, first + T - N) + 1"),
    ),
    Mutant(
        "one-row-more-dropped", "memory cut", "one row more is dropped than the rule says",
        JULIA_4, "eval/2/mem_in.3.size", r"oldest 1 row\b",
        _cut("layer.memory[rows_dropped(self.config, held, steps, i) + 1 :]"),
    ),
    Mutant(
        "one-row-more-dropped-in-the-papers", "memory cut", "the same, where the first to show it is the memory kept",
        PAPER_2, "eval/2/blocks.0.new_mem", r"oldest 1 row\b",
        _cut("layer.memory[rows_dropped(self.config, held, steps, i) + 1 :]"),
    ),
    Mutant(
        "one-row-less-dropped", "memory cut", "one row less is dropped, which the memory kept does not show",
        PAPER_2, "eval/3/blocks.0.attn.focus", r"oldest 8 rows",
        _rule("held[layer] + T - N)", "held[layer] + T - N - 1)"),
    ),
    Mutant(
        "every-block-cuts-its-own-memory", "memory cut", "a block's memory is cut by its own length, not by block 1's",
        JULIA_4, "eval/3/mem_in.3.size", r"oldest 9 rows", _rule("held[0] if config.attends(0) else 1", "held[layer]"),
    ),
    Mutant(
        "empty-memory-counted-as-zero", "memory cut", "a block 1 without attention counts as 0 rows, not as Julia's 1",
        JULIA_LONG_4, "eval/2/mem_start_idx", r"oldest 2 rows", _rule("else 1", "else 0"),
    ),
    Mutant(
        "newest-rows-dropped", "memory cut", "the rows dropped before attending are the newest",
        JULIA_2, "eval/3/mem_in.1", r"newest 9 rows",
        _cut("layer.memory[: max(0, len(layer.memory) - rows_dropped(self.config, held, steps, i))]"),
    ),
    Mutant(
        "memory-after-the-new-rows", "keys", "the new rows come first, then the memory",
        JULIA_2, "eval/2/blocks.1.bigh", r"before .*memory_in",
        _in_block("torch.cat([memory, new])", "torch.cat([new, memory])"),
    ),
    Mutant(
        "rows-attended-to-unnormed", "keys", "the new keys are the LSTM's output, not normed",
        JULIA_2, "eval/1/blocks.1.bigh", r"takes .*rnn;",
        _in_block("torch.cat([memory, new])", "torch.cat([memory, h])"),
    ),
    Mutant(
        "memory-normed-with-every-segment", "keys", "rows are normed again with every segment that they are kept for",
        JULIA_2, "eval/2/blocks.1.bigh", r"lnmem",
        _in_block("torch.cat([memory, new])", "torch.cat([self.lnmem(memory), new])"),
    ),
    Mutant(
        "memory-not-attended-to", "keys", "a segment attends to its own rows alone",
        JULIA_2, "eval/2/blocks.1.bigh", r"memory_in out|no memory|drops",
        _in_block("torch.cat([memory, new])", "torch.cat([memory[:0], new])"),
    ),
    Mutant(
        "oldest-rows-kept", "memory kept", "the oldest rows are kept, not the newest",
        JULIA_LONG, "eval/2/blocks.1.new_mem", r"first 12 rows",
        _in_block("keys[-self.max_memory :]", "keys[: self.max_memory]"),
    ),
    Mutant(
        "rows-kept-newest-first", "memory kept", "the rows kept are turned round",
        PAPER_2, "eval/1/blocks.0.new_mem", r"revers",
        _in_block("keys[-self.max_memory :]", "keys[-self.max_memory :].flip(0)"),
    ),
    Mutant(
        "one-row-too-few-kept", "memory kept", "the memory holds one row less than it may",
        JULIA_2, "eval/2/blocks.1.new_mem", r"last 11 rows",
        _in_block("keys[-self.max_memory :]", "keys[1 - self.max_memory :]"),
    ),
    Mutant(
        "one-row-too-many-kept", "memory kept", "the memory holds one row more than it may",
        JULIA_4, "eval/3/blocks.3.new_mem", r"last 13 rows",
        _in_block("keys[-self.max_memory :]", "keys[-self.max_memory - 1 :]"),
    ),
    Mutant(
        "rows-kept-shifted", "memory kept", "the rows kept are shifted by one, the newest standing first",
        PAPER_2, "eval/1/blocks.0.new_mem", r"shifted by 1",
        _in_block("keys[-self.max_memory :]", "keys.roll(1, 0)[-self.max_memory :]"),
    ),
    Mutant(
        "newest-row-not-kept", "memory kept", "the segment's last row is not kept",
        JULIA_2, "eval/1/blocks.1.new_mem", r"1 row before the last",
        _in_block("keys[-self.max_memory :]", "keys[-self.max_memory - 1 : -1]"),
    ),
    Mutant(
        "rows-kept-in-float16", "memory kept", "the memory is of half precision",
        JULIA_2, "eval/1/blocks.1.new_mem", r"\bfloat16",
        _in_block("keys[-self.max_memory :]", "keys[-self.max_memory :].half().to(h.dtype)"),
    ),
]  # fmt: skip
