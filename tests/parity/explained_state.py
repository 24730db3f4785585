"""Faults of the state carried on, of parts of tensors, and rows of docs/semantics.md turned.

A row is (how to plant it, options of `scene_of`, words of the first hint).
"""

from sharnn_py import JULIA, PAPER
from tests.parity.diagnosed import SMERITY
from tests.parity.planting import attention, model, returned, rnn

STATE = [
    (returned(h="c_n", c="h_n"), {}, "carries blocks.0.c in the place of blocks.0.h"),
    (returned(h="0 * h_n"), {}, "carries zeros on"),
    (returned(h="state.h"), {}, "carries on what came in"),
    (returned(h="h_n.flip(0)"), {}, "reversed along the batch axis"),
    (returned(c="c_n.half().to(c_n.dtype)"), {}, "rounded to float16"),
    (returned(memory="memory if self.lnmem is None else self.lnmem(memory)"), {}, "blocks.1.lnmem (layer norm)"),
    (returned(memory="memory.flip(0)"), {}, "in reverse"),
    (returned(memory="memory[:0]"), {}, "no rows"),
    (returned(memory="memory[1:]"), {}, "keeps the last 7 rows"),
    (returned(memory="memory if self.lnmem is None else new"), {}, "rows"),
    (model(("carried.append(layer)", "carried.insert(0, layer)")), {}, "takes blocks.2.h"),
]

IN_PART = [
    (rnn(after="h = torch.cat([h[:1], 0 * h[1:2], h[2:]])"), {}, "zeros, but only at 1 of the time axis"),
    (rnn(before="h0, c0 = h0.clone(), c0.clone(); h0[:, 1], c0[:, 1] = 0, 0"), {}, "but only at 1 of the batch axis"),
    (
        attention(("scores + mask", "torch.cat([scores[:, :1], (scores + mask)[:, 1:]], 1)")),
        {},
        "only at 0 of the head",
    ),
    (
        attention(("qk / math.sqrt(scale)", "torch.cat([qk[..., :1, :], qk[..., 1:, :] / math.sqrt(scale)], -2)")),
        {},
        "does not scale, but only at 0 of the query axis",
    ),
    (
        attention(("ks * keys", "torch.cat([keys[:1], ks * keys[1:]])")),
        {},
        "leaves blocks.1.attn.ks out, but only at 0",
    ),
]

FLIPS = [
    (
        None,
        {"subject_semantics": JULIA.flipped("layer_norm")},
        "the reference divides the variance by n - 1 = 7; the subject by n = 8",
    ),
    (None, {"subject_semantics": JULIA.flipped("boom")}, "the reference gives the total of each chunk"),
    (None, {"subject_semantics": JULIA.flipped("attention_scale")}, "the reference divides by sqrt(T) = sqrt(5)"),
    (None, {"subject_semantics": JULIA.flipped("memory_cut")}, "the reference drops no rows; the subject the oldest 1"),
    (
        None,
        {"subject_semantics": PAPER.flipped("layer_norm"), **SMERITY},
        "the reference divides the variance by n = 8",
    ),
    (None, {"subject_semantics": PAPER.flipped("boom"), **SMERITY}, "the reference adds the chunks element by element"),
    (
        None,
        {"subject_semantics": PAPER.flipped("attention_scale"), **SMERITY},
        "the reference divides by sqrt(d) = sqrt(4)",
    ),
    (None, {"subject_semantics": PAPER.flipped("memory_cut"), **SMERITY}, "the reference drops the oldest 1 row"),
]
