"""Faults of the layers around attention, each with what diagnosis says of it first.

A row is (how to plant it, options of `scene_of`, words of the first hint).
"""

import torch

import sharnn_py.layers as layers
import sharnn_py.model as port
from tests.parity.diagnosed import PAPERS, SMERITY
from tests.parity.planting import block, cell, embedded, fold, gates, held, loss, model, norm, rnn, source

NORMED = "return self.weight * (centred / (std + EPS)) + self.bias"

CENTRED = "centred = x - x.mean(-1, keepdim=True)"

FUSED = "F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)"

OWN = "self.weight * (x - x.mean(-1, keepdim=True)) / "

EMBEDDING = [
    (embedded("self.encoder((tokens + 1) % 13)"), {}, "row id + 1"),
    (embedded("self.encoder((tokens - 1).clamp(min=0))"), {}, "row id - 1"),
    (embedded("self.encoder(tokens) * 8**0.5"), {}, "scales by sqrt(8)"),
    (embedded("self.encoder(tokens) * (tokens != 0)[..., None]"), {}, "zeros for id 0"),
    (embedded("self.encoder(tokens.flip(0))"), {}, "reversed along the time axis"),
    (embedded("self.encoder(tokens.flip(1))"), {}, "reversed along the batch axis"),
    (embedded("self.encoder(tokens.mT.reshape(tokens.shape))"), {}, "batch by batch"),
    (embedded("self.encoder(tokens).half().to(weight.dtype)"), {}, "float16"),
    (embedded("F.normalize(self.encoder(tokens), dim=-1)"), {}, "norm 1"),
    (embedded("self.encoder(tokens.roll(1, 0))"), {}, "shifted by 1 row later in the time axis"),
]

NORM = [
    (norm("(x.shape[-1] - 1)", "x.shape[-1]"), {}, "divides the variance by n = 8; the reference by n - 1 = 7"),
    (norm(FUSED, f"{OWN}x.std(-1, keepdim=True) + self.bias"), PAPERS, "n - 1 = 7; the reference by n = 8"),
    (norm(", EPS)", ", 1e-5)"), PAPERS, "takes eps = 1e-05; the reference 1e-12"),
    (norm(FUSED, f"{OWN}(x.std(-1, keepdim=True, unbiased=False) + 1e-3) + self.bias"), PAPERS, "eps outside the root"),
    (norm("std + EPS", "std + 1e-3"), {}, "takes eps = 0.001"),
    (norm("(std + EPS)", "(std.square() + 1e-3).sqrt()"), {}, "adds eps inside the root and takes eps = 0.001"),
    (norm("self.weight * (centred", "(centred"), {}, "leaves the gain out"),
    (norm("self.weight * (centred", "(1 + self.weight) * (centred"), {}, "multiplies by 1 + gain"),
    (norm(" + self.bias", ""), {}, "leaves the bias out"),
    (norm(" + self.bias", " - self.bias"), {}, "subtracts the bias"),
    (norm(CENTRED, "centred = x"), {}, "does not centre (an RMS norm)"),
    (norm("self.weight * (centred", "self.weight * (x"), {}, "does not subtract the mean"),
    (norm("(x.shape[-1] - 1)).sqrt()", "(x.shape[-1] - 1))"), {}, "divides by the variance"),
    (norm(NORMED, "return self.weight * x + self.bias"), {}, "does not normalise"),
    (
        norm(FUSED, "self.weight * (x - x.mean(0)) / (x.var(0, unbiased=False) + EPS).sqrt() + self.bias"),
        PAPERS,
        "normalises over axis 0",
    ),
    (norm(NORMED, NORMED + ".half().to(x.dtype)"), {}, "float16"),
    (
        norm(
            FUSED,
            "F.layer_norm(x.bfloat16(), x.shape[-1:], self.weight.bfloat16(), self.bias.bfloat16(), EPS).double()",
        ),
        PAPERS,
        "bfloat16",
    ),
    (norm(NORMED, "return self.bias * (centred / (std + EPS)) + self.weight"), {}, "in each other's place"),
    (block(("self.lnstart(h)", "h")), {}, "leaves this step out (the layer norm) and gives blocks.0.in"),
    (block(("self.lnff(h)", "self.lnxff(h)")), {}, "(of blocks.0.lnxff)"),
    (block(("self.lnmem(h)", "self.lnmid(h)")), {}, "(of blocks.1.lnmid)"),
    (
        block(("self.lnxff(h)", "self.lnxff(residual)")),
        {},
        "takes blocks.0.lnff; the reference takes blocks.0.post_rnn",
    ),
    (block(("self.lnmem(h)", "self.lnmem(self.lnmem(h))")), {}, "normalises twice"),
    (block(("self.lnmid(h)", "self.lnmid(new)")), {}, "takes blocks.1.lnmem; the reference takes blocks.1.post_rnn"),
]

LSTM = [
    (gates("icfo"), {}, "gates in the order i, c, f, o; the reference i, f, c, o"),
    (gates("iofc"), {}, "gates in the order i, c, o, f"),
    (gates("icfo"), {"recorded_parameters": False}, "the reference takes its gates in the order i, c, f, o"),
    (held("rnn.bias_ih_l0", torch.zeros_like), {}, "leaves the input bias (bias_ih) out"),
    (held("rnn.bias_hh_l0", lambda p: 2 * p), {}, "adds the recurrent bias (bias_hh) twice"),
    (
        held("rnn.weight_hh_l0", lambda p: torch.cat([g.mT for g in p.chunk(4)])),
        {},
        "transposes each gate's block of the recurrent weight",
    ),
    (
        held("rnn.weight_ih_l0", lambda p: p.mT.reshape(p.shape)),
        {},
        "the input weight (weight_ih) transposed (reshaped",
    ),
    (rnn(before="h0, c0 = c0, h0"), {}, "exchanges h and c"),
    (rnn(before="h0, c0 = 0 * h0, 0 * c0"), {}, "starts from zeros"),
    (rnn(before="h0 = 0 * h0"), {}, "starts h from zeros"),
    (rnn(before="c0 = 0 * c0"), {}, "starts c from zeros"),
    (rnn(before="c0 = h0"), {}, "starts from h for both"),
    (rnn(before="h0, c0 = h0.flip(1), c0.flip(1)"), {}, "with its batch reversed"),
    (rnn(before="h = h.flip(0)"), {}, "over time backwards"),
    (rnn(before="h = h.flip(0)", after="h = h.flip(0)"), {}, "turns its output round"),
    (rnn(before="h = h.roll(1, 0)"), {}, "blocks.0.lnstart shifted by 1 row later in the time axis"),
    (rnn(after="h = h + x"), {}, "adds its input blocks.0.lnstart"),
    (rnn(after="h_n = h[:1]"), {}, "after the first step"),
    (rnn(after="h_n = c_n"), {}, "returns c in place of h"),
    (rnn(after="c_n = h_n"), {}, "returns h in place of c"),
    (rnn(after="h_n = h_n.flip(1)"), {}, "returns its state with the batch reversed"),
    (rnn(after="h = h.half().to(h.dtype)"), {}, "rounded to float16"),
    (rnn(after="h = h.bfloat16().to(h.dtype)"), {}, "rounded to bfloat16"),
    (rnn(before="h = h.half().to(h.dtype)"), {}, "blocks.0.lnstart rounded to float16"),
    (cell(candidate="g.sigmoid()"), {}, "the sigmoid to the new cell input"),
    (cell(given="o * c_n"), {}, "no tanh to the cell state"),
    (cell(given="c_n.tanh()"), {}, "has no output gate"),
    (cell(given="o * c_n.sigmoid()"), {}, "the sigmoid to the cell state"),
    (cell(kept="(1 - i) * c_n + i * g"), {}, "f = 1 - i"),
    (cell(kept="f * c_n + (1 - f) * g"), {}, "i = 1 - f"),
    (cell(kept="c_n + i * g"), {}, "no forget gate"),
    (
        held("rnn.bias_hh_l0", lambda p: p + torch.tensor([0.0, 1, 0, 0]).repeat_interleave(8)),
        {},
        "adds 1 to the forget",
    ),
    (
        model(
            (
                "layer, noted = state.layers[i],",
                "layer, noted = LayerState(state.layers[i - 1].h, state.layers[i - 1].c, state.layers[i].memory),",
            )
        ),
        {},
        "before.blocks.2.h, before.blocks.2.c (of blocks.2.rnn)",
    ),
]

BOOM = [
    (source(layers, "gelu", ("1.702", "1.7")), {}, "x sigmoid(1.7 x)"),
    (source(layers, "gelu", ("x * torch.sigmoid(1.702 * x)", "F.gelu(x)")), {}, "the exact gelu, by erf"),
    (source(layers, "gelu", ("x * torch.sigmoid(1.702 * x)", "F.gelu(x, approximate='tanh')")), {}, "the tanh gelu"),
    (source(layers, "gelu", ("x * torch.sigmoid(1.702 * x)", "F.silu(x)")), {}, "silu"),
    (source(layers, "gelu", ("x * torch.sigmoid(1.702 * x)", "F.relu(x)")), {}, "relu"),
    (source(layers, "gelu", ("x * torch.sigmoid", "torch.sigmoid")), {}, "sigmoid(1.702 x) alone"),
    (source(layers.Boom, "forward", ("gelu(x)", "gelu(gelu(x))")), {}, "its function twice"),
    (source(layers.Boom, "forward", ("self.linear(x)", "F.linear(x, self.linear.weight)")), {}, "leaves the bias out"),
    (held("boom.linear.weight", lambda p: p.mT.reshape(p.shape)), {}, "(reshaped, not transposed)"),
    (fold(("chunks.sum(-2)", "chunks.mean(-2)")), PAPERS, "the mean of the chunks"),
    (fold(("chunks.sum(-2)", "chunks[..., :-1, :].sum(-2)")), PAPERS, "leaves the last chunk out"),
    (
        fold(("chunks.sum(-2)", "chunks.reshape(*x.shape[:-1], self.emb, count).sum(-1)")),
        PAPERS,
        "neighbouring features",
    ),
    (fold(("chunks.sum(-2)", "chunks.sum(-2).flip(-1)")), PAPERS, "reverse"),
    (fold(("(0, self.emb - count)", "(self.emb - count, 0)")), {}, "gives zeros first"),
    (fold(("F.pad(chunks.sum(-1), (0, self.emb - count))", "chunks.sum(-2)")), {}, "element by element"),
    (fold(("F.pad(chunks.sum(-1)", "F.pad(chunks.mean(-1)")), {}, "gives the mean of each chunk"),
    (
        block(("residual + self.dropout(", "h + self.dropout(")),
        {},
        "takes blocks.0.rnn; the reference takes blocks.0.lnff",
    ),
    (block(("residual + self.dropout(", "self.dropout(")), {}, "leaves blocks.0.lnff out"),
    (block(("residual + self.dropout(", "residual - self.dropout(")), {}, "subtracts blocks.0.boom"),
    (block(("residual + self.dropout(", "x + self.dropout(")), {}, "takes blocks.0.lnxff"),
    (block(("residual + self.dropout(", "self.dropout(")), SMERITY, "leaves blocks.0.lnff out"),
    (model(("self.dropout_output(h)", "0.9 * self.dropout_output(h)")), {}, "as for a dropout"),
]

TIED = {"tied": True}

ENDS = [
    (source(port.TiedDecoder, "forward", ("self.bias", "None")), {**PAPERS, **TIED}, "leaves the bias out"),
    (model(("else self.decoder(h)", "else F.linear(h, weight, self.decoder.bias)")), {}, "takes param/encoder.weight"),
    (model(("else self.decoder(h)", "else self.decoder(h) / 8**0.5")), {}, "1 / sqrt(8)"),
    (model(("else self.decoder(h)", "else self.decoder(h).bfloat16().double()")), {}, "bfloat16"),
    (loss(("ignore_index=-1", "ignore_index=-1, reduction='sum'")), {}, "takes the sum over the targets"),
    (loss(("ignore_index=-1)", "ignore_index=-1) / 0.6931471805599453")), {}, "base 2"),
    (loss(("ignore_index=-1", "ignore_index=0")), {}, "leaves target 0 out"),
    (loss(("targets.flatten()", "targets.roll(1, 0).flatten()")), {}, "one step earlier"),
    (loss(("targets.flatten()", "((targets + 1) % 13).flatten()")), {}, "target + 1"),
    (loss(("return ", "return len(targets) * ")), {}, "the mean over the batch alone"),
    (loss(("return ", "return -")), {}, "without the minus"),
    (loss(("ignore_index=-1", "ignore_index=-1, label_smoothing=0.1")), {}, "smooths the labels"),
]
