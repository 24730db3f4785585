"""Faults of attention and its memory, each with what diagnosis says of it first.

A row is (how to plant it, options of `scene_of`, words of the first hint).
"""

import torch

from tests.parity.diagnosed import PAPERS, SMERITY
from tests.parity.planting import attention, block, gain, held, mask, model, split

GAINS = [
    (attention(("torch.sigmoid(self.qs)", "self.qs")), {}, "no function at all; the reference the sigmoid"),
    (attention(("torch.sigmoid(self.ks)", "torch.tanh(self.ks)")), {}, "applies tanh"),
    (attention(("torch.sigmoid(self.qs)", "self.qs")), SMERITY, "no function at all"),
    (attention(("qs * q)", "q)")), {}, "leaves blocks.1.attn.qs out"),
    (attention(("ks * keys", "(1 + ks) * keys")), {}, "multiplies by 1 + blocks.1.attn.ks"),
    (attention(("ks * keys", "qs * keys")), {}, "takes blocks.1.attn.qs; the reference takes blocks.1.attn.ks"),
    (attention(("gain * keys", "gain.sigmoid() * keys")), {}, "a sigmoid too many"),
    (attention(("gain * keys", "keys")), SMERITY, "leaves blocks.1.attn.overparam out"),
    (attention(("gain * keys", "ks * keys")), SMERITY, "attn"),
    (gain(("c, f =", "f, c =")), {}, "halves in the order f, c; the reference c, f"),
    (gain(("torch.tanh(c)", "c")), {}, "applies no function at all to c"),
    (gain(("torch.sigmoid(f) * ", "")), {}, "leaves the sigmoid factor out"),
    (gain(("torch.sigmoid(f) * torch.tanh(c)", "torch.tanh(f) * torch.sigmoid(c)")), {}, "order f, c"),
    (gain(("self.overparam(gate)", "self.overparam.weight @ gate")), {}, "leaves the bias out"),
    (gain(("torch.sigmoid(self.vs)", "self.vs")), SMERITY, "no function at all"),
]

ATTENTION = [
    (attention(("self.q(h)", "F.linear(h, self.q.weight.mT, self.q.bias)")), {}, "transposes the weight"),
    (attention(("self.q(h)", "F.linear(h, self.q.weight)")), {}, "leaves the bias out"),
    (attention(("self.q(h)", "self.q(h) + self.q.bias")), {}, "adds the bias twice"),
    (attention(("self.q(h)", "self.q(h) / h.shape[-1] ** 0.5")), {}, "1 / sqrt(8)"),
    (
        attention(("self.q(h)", "self.q(keys[-len(h) :])")),
        {},
        "takes blocks.1.lnmem; the reference takes blocks.1.lnmid",
    ),
    (attention(("self.qln(q))", "q)")), {}, "leaves this step out"),
    (held("attn.q.weight", lambda p: torch.cat([p[4:], p[:4]])), {}, "rows of the weight alone in 2 blocks"),
    (held("attn.q.weight", lambda p: p.half().float()), {}, "rounded to float16"),
    (held("attn.q.weight", lambda p: p.flip(0)), {}, "rows of the weight in reverse"),
    (split("x.reshape(steps, batch, width // self.heads, self.heads).permute(1, 3, 0, 2)"), {}, "interleaved"),
    (split("x.reshape(batch, self.heads, steps, width // self.heads)"), {}, "without moving axes"),
    (
        attention(("q @ k.transpose", "q @ v.transpose")),
        {},
        "takes blocks.1.attn.v; the reference takes blocks.1.attn.k",
    ),
    (attention(("q @ k.transpose(-1, -2)", "F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT")), {}, "cosines"),
    (attention(("math.sqrt(scale)", "scale")), {}, "divides by T = 5; the reference by sqrt(T)"),
    (attention(("math.sqrt(scale)", "math.sqrt(2 * scale)")), {}, "divides by sqrt(2) sqrt(T)"),
    (attention(("qk / math.sqrt(scale)", "qk")), {}, "does not scale"),
    (attention(("qk / math.sqrt(scale)", "qk * math.sqrt(scale)")), {}, "multiplies by sqrt(T)"),
    (attention(("qk / math.sqrt(scale)", "qk * 0.123")), {}, "scaled by 0.27"),
    (attention(("scale = q.shape[-2]", "scale = k.shape[-2]")), {}, "divides by sqrt(K) = sqrt(9)"),
    (attention(("else q.shape[-1]", "else self.heads * q.shape[-1]")), SMERITY, "divides by sqrt(H) = sqrt(8)"),
    (attention(("math.sqrt(scale)", "scale")), SMERITY, "divides by d = 4"),
    (attention(("math.sqrt(scale)", "1.23")), SMERITY, "scaled by 1.62602"),
    (mask("mask.triu_(diagonal=memory + 2)"), {}, "lets a step see the step after it"),
    (mask("mask.triu_(diagonal=memory + 2)"), SMERITY, "lets a step see the step after it"),
    (mask("mask.triu_(diagonal=memory)"), {}, "hides from a step itself"),
    (mask("mask.triu_(diagonal=1)"), {}, "counts the diagonal from the oldest memory row"),
    (mask("mask.zero_()"), SMERITY, "hides nothing"),
    (mask("mask.triu_(diagonal=memory + 1).nan_to_num(neginf=-1e4)"), {}, "puts -10000 for hidden keys"),
    (mask("mask.tril_(diagonal=-1)"), {"segment": 1}, "hides the past in place of the future"),
    (attention(("scores + mask", "scores")), {}, "leaves the mask out"),
    (attention(("scores + mask", "torch.where(mask == 0, scores, 0.0)")), {}, "puts 0 for hidden scores"),
    (attention(("scores.softmax(-1)", "scores.softmax(-2)")), {}, "over the queries"),
    (attention(("scores.softmax(-1)", "scores.sigmoid()")), {}, "applies the sigmoid"),
    (attention(("scores.softmax(-1)", "scores.exp()")), {}, "does not divide by the sum"),
    (attention(("scores.softmax(-1)", "(scores * math.log(2)).softmax(-1)")), {}, "powers of 2"),
    (attention(("scores.softmax(-1)", "scores.softmax(-1).softmax(-1)")), {}, "softmax twice"),
    (
        attention(("scores.softmax(-1)", "scores.exp() / (1 + scores.exp().sum(-1, True))")),
        {},
        "adds 1 to the denominator",
    ),
    (attention(("scores.softmax(-1)", "(scores / 2).softmax(-1)")), {}, "temperature of 2"),
    (
        attention(("scores.softmax(-1)", "(qk / math.sqrt(scale)).softmax(-1) * (mask == 0)")),
        {},
        "masks after the softmax",
    ),
    (attention(("scores.softmax(-1)", "scores.softmax(-1).half().to(q.dtype)")), SMERITY, "rounded to float16"),
    (attention(("self.dropout(focus) @ v", "self.dropout(focus) @ k")), {}, "mixes blocks.1.attn.k"),
    (attention(("self.dropout(focus) @ v", "focus.flip(-1) @ v")), {}, "takes the values in reverse"),
    (attention(("self.dropout(focus) @ v", "focus.flip(1) @ v")), {}, "heads of the weights in reverse"),
    (attention(("self.dropout(focus) @ v", "v.mean(-2, True).expand_as(q)")), SMERITY, "mixes all values alike"),
    (attention(("mix.permute(2, 0, 1, 3)", "mix.permute(2, 0, 3, 1)")), {}, "interleaves the heads' features"),
    (attention(("mix.permute(2, 0, 1, 3).flatten(-2)", "mix.reshape(h.shape)")), {}, "without moving axes"),
    (block(("h + self.dropout(self.attn(", "self.dropout(self.attn(")), {}, "leaves blocks.1.lnmid out"),
    (block(("h + self.dropout(self.attn(h", "2 * h + self.dropout(self.attn(h")), {}, "adds blocks.1.lnmid twice"),
    (
        block(("h + self.dropout(self.attn(h", "h + 0.7 * (self.attn(h")),
        {},
        "adds -0.3 times its input blocks.1.attn.mix",
    ),
    (block(("h + self.dropout(self.attn(h", "new + self.dropout(self.attn(h")), {}, "takes blocks.1.lnmem"),
    (block(("h + self.dropout(self.attn(", "self.dropout(self.attn(")), SMERITY, "leaves blocks.1.lnmid out"),
]

KEPT = "keys[-self.max_memory :]"

CUT = "layer.memory[rows_dropped(self.config, held, steps, i) :]"

JOINED = "torch.cat([memory, new])"

MEMORY = [
    (model((CUT, CUT.replace("i) :", "i) + 1 :"))), {}, "drops the oldest 1 row; the reference none"),
    (model((CUT, CUT.replace("i) :", "i) - 1 :"))), SMERITY, "drops no rows; the reference the oldest 1"),
    (model((CUT, CUT.replace("i) :", "i) + 2 :"))), SMERITY, "drops the oldest 3 rows; the reference the oldest 1"),
    (model((CUT, "layer.memory")), SMERITY, "rows; the reference the oldest 1"),
    (model((CUT, "layer.memory[:-1]")), PAPERS, "drops the newest 1 row"),
    (model((CUT, "layer.memory.flip(0)")), {}, "reversed along the time axis"),
    (model((CUT, "layer.memory.flip(1)")), {}, "reversed along the batch axis"),
    (block((JOINED, "torch.cat([new, memory])")), {}, "puts blocks.1.lnmem before blocks.1.memory_in"),
    (block((JOINED, "torch.cat([memory, h])")), {}, "takes blocks.1.rnn; the reference takes blocks.1.lnmem"),
    (block((JOINED, "torch.cat([self.lnmem(memory), new])")), {}, "blocks.1.lnmem (layer norm) to blocks.1.memory_in"),
    (block((JOINED, "torch.cat([0 * memory, new])")), {}, "puts zeros for blocks.1.memory_in"),
    (block((JOINED, "torch.cat([memory, new]).half().double()")), {}, "rounded to float16"),
    (block((KEPT, "keys[: self.max_memory]")), {}, "keeps the first 8 rows"),
    (block((KEPT, "keys[1 - self.max_memory :]")), {}, "keeps the last 7 rows; the reference the last 8"),
    (block((KEPT, "keys[-self.max_memory - 1 :]")), {}, "keeps the last 9 rows"),
    (block((KEPT, "keys[-self.max_memory - 1 : -1]")), {}, "keeps the first 8 rows"),
    (block((KEPT, "keys[-self.max_memory :].flip(0)")), {}, "in reverse"),
    (
        block((KEPT, "keys[-self.max_memory :].roll(1, 0)")),
        {},
        "shifted by 1 row later in the time axis, round the end",
    ),
    (block((KEPT, "new")), SMERITY, "keeps the last 5 rows"),
]
