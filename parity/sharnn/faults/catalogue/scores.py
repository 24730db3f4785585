"""Faults of attention itself: products, scale, mask, softmax, mixing, and the way back into the block."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_2, JULIA_4, JULIA_HEADS, JULIA_STEPS, PAPER_2, PAPER_HEADS, Mutant
from parity.sharnn.faults.plant import Edit

PLACE = "attention"
JULIA_ATTENTION, PAPER_ATTENTION = "eval/1/blocks.1.attn", "eval/1/blocks.0.attn"


def _attention(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:Attention.forward", old, new)


def _mask(new: str) -> Edit:
    return Edit("sharnn_py.layers:causal_mask", "mask.triu_(diagonal=memory + 1)", new)


def _in_block(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:Block.forward", old, new)


MUTANTS = [
    Mutant(
        "products-of-queries-and-values", PLACE, "queries are multiplied with values, not with keys",
        JULIA_2, f"{JULIA_ATTENTION}.qk", r"takes .*attn\.v;", _attention("q @ k.transpose", "q @ v.transpose"),
    ),
    Mutant(
        "products-in-bfloat16", PLACE, "queries and keys are bfloat16 where they are multiplied",
        JULIA_HEADS, f"{JULIA_ATTENTION}.qk", r"bfloat16",
        _attention("q @ k.transpose(-1, -2)", "(q.bfloat16() @ k.bfloat16().transpose(-1, -2)).to(q.dtype)"),
    ),
    Mutant(
        "scale-without-root", "scale", "scores are divided by T, not by its root",
        JULIA_2, f"{JULIA_ATTENTION}.scores", r"divides by T\b", _attention("math.sqrt(scale)", "scale"),
    ),
    Mutant(
        "scale-off-by-root-two", "scale", "scores are too small by the root of two",
        JULIA_HEADS, f"{JULIA_ATTENTION}.scores", r"sqrt\(2\) ", _attention("math.sqrt(scale)", "math.sqrt(2 * scale)"),
    ),
    Mutant(
        "scale-of-all-keys", "scale", "scores are divided by the root of the number of keys, not of queries",
        JULIA_2, "eval/2/blocks.1.attn.scores", r"sqrt\(K\)", _attention("scale = q.shape[-2]", "scale = k.shape[-2]"),
    ),
    Mutant(
        "scale-of-the-whole-width", "scale", "scores are divided by the root of H, not of a head's H / A",
        PAPER_HEADS, "eval/1/blocks.2.attn.focus", r"sqrt\(H\)",
        _attention("else q.shape[-1]", "else self.heads * q.shape[-1]"),
    ),
    Mutant(
        "scale-left-out", "scale", "scores are not scaled, which segments of one step do not show",
        JULIA_STEPS, "eval/3/blocks.3.attn.scores", r"not (scale|divide)|leaves .* out",
        _attention("qk / math.sqrt(scale)", "qk"),
    ),
    Mutant(
        "mask-shows-the-next-step", "mask", "a step sees the step after it",
        JULIA_2, "eval/1/mask", r"sees? the step after", _mask("mask.triu_(diagonal=memory + 2)"),
    ),
    Mutant(
        "mask-hides-the-step-itself", "mask", "a step does not see itself where there is a memory",
        JULIA_HEADS, "eval/2/mask", r"itself", _mask("mask.triu_(diagonal=memory or 1)"),
    ),
    Mutant(
        "mask-forgets-the-memory", "mask",
        "the mask's diagonal begins at the oldest memory row, not at the first new one",
        JULIA_2, "eval/2/mask", r"memory", _mask("mask.triu_(diagonal=1)"),
    ),
    Mutant(
        "mask-shows-the-future", "mask", "the mask hides the past and shows the future",
        PAPER_2, f"{PAPER_ATTENTION}.focus", r"hides the past", _mask("mask.tril_(diagonal=memory - 1)"),
    ),
    Mutant(
        "mask-one-step-too-wide", "mask", "a step sees the step after it",
        PAPER_HEADS, "eval/1/blocks.2.attn.focus", r"sees? the step after", _mask("mask.triu_(diagonal=memory + 2)"),
    ),
    Mutant(
        "mask-not-added", "mask", "the mask is not added",
        JULIA_2, f"{JULIA_ATTENTION}.masked_scores", r"mask out", _attention("scores + mask", "scores"),
    ),
    Mutant(
        "softmax-over-queries", "softmax", "weights are normalised over queries, not over keys",
        JULIA_HEADS, f"{JULIA_ATTENTION}.focus", r"over the queries", _attention("softmax(-1)", "softmax(-2)"),
    ),
    Mutant(
        "softmax-not-normalised", "softmax", "weights are not divided by their sum",
        JULIA_2, f"{JULIA_ATTENTION}.focus", r"divide by the sum", _attention("scores.softmax(-1)", "scores.exp()"),
    ),
    Mutant(
        "softmax-in-float16", "softmax", "weights pass through half precision",
        PAPER_2, f"{PAPER_ATTENTION}.focus", r"\bfloat16",
        _attention("scores.softmax(-1)", "scores.softmax(-1).half().to(q.dtype)"),
    ),
    Mutant(
        "mix-of-keys", "mix", "keys are mixed, not values",
        JULIA_2, f"{JULIA_ATTENTION}.mix_heads", r"mixes .*attn\.k;",
        _attention("self.dropout(focus) @ v", "self.dropout(focus) @ k"),
    ),
    Mutant(
        "mix-of-reversed-keys", "mix", "weights are applied to the keys in reverse",
        PAPER_2, f"{PAPER_ATTENTION}.mix", r"last row first|revers",
        _attention("self.dropout(focus) @ v", "self.dropout(focus).flip(-1) @ v"),
    ),
    Mutant(
        "attention-without-residual", "residual", "the mix replaces the queries' rows instead of being added to them",
        JULIA_4, "eval/1/blocks.3.post_attn", r"lnmid out",
        _in_block("h + self.dropout(self.attn(", "self.dropout(self.attn("),
    ),
    Mutant(
        "attention-without-residual-in-the-papers", "residual", "the same, where the sum is not recorded",
        PAPER_2, "eval/1/blocks.0.lnff", r"lnmid out",
        _in_block("h + self.dropout(self.attn(", "self.dropout(self.attn("),
    ),
    Mutant(
        "attention-added-to-unnormed-rows", "residual", "the mix is added to the rows before lnmid",
        JULIA_2, "eval/1/blocks.1.post_attn", r"takes .*rnn;",
        _in_block(
            'h = note("lnmid", self.lnmid(h))\n        h = note("post_attn", h + self.dropout(self.attn(h,',
            'q = note("lnmid", self.lnmid(h))\n        h = note("post_attn", h + self.dropout(self.attn(q,',
        ),
    ),
]  # fmt: skip
