"""Faults of the Boom layer and of the block's last sum."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_2, PAPER_1, PAPER_2, PAPER_WIDE, Mutant
from parity.sharnn.faults.plant import Edit

PLACE = "boom"


def _gelu(new: str) -> Edit:
    return Edit("sharnn_py.layers:gelu", "x * torch.sigmoid(1.702 * x)", new)


def _linear(new: str) -> Edit:
    return Edit("sharnn_py.layers:Boom.forward", "self.linear(x)", new)


def _fold(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:Boom.fold", old, new)


def _sum(new: str) -> Edit:
    return Edit("sharnn_py.model:Block.forward", "residual + self.dropout(self.boom(x, note))", new)


MUTANTS = [
    Mutant(
        "boom-without-bias", PLACE, "the first map's bias is not added",
        JULIA_1, "eval/1/blocks.1.boom_lin1", r"bias", _linear("F.linear(x, self.linear.weight)"),
    ),
    Mutant(
        "boom-matrix-read-by-columns", PLACE, "the first map's matrix is read column by column, as Fortran stores it",
        PAPER_1, "eval/1/blocks.0.ff.linear1", r"reshape",
        _linear("F.linear(x, self.linear.weight.mT.reshape(self.linear.weight.shape), self.linear.bias)"),
    ),
    Mutant(
        "gelu-by-erf", "gelu", "gelu is the exact one, by erf",
        JULIA_1, "eval/1/blocks.1.boom_gelu", r"erf", _gelu("F.gelu(x)"),
    ),
    Mutant(
        "gelu-by-tanh", "gelu", "gelu is the approximation by tanh",
        PAPER_1, "eval/1/blocks.0.ff.act", r"tanh", _gelu('F.gelu(x, approximate="tanh")'),
    ),
    Mutant(
        "gelu-by-1.7", "gelu", "gelu's slope is 1.7, not 1.702",
        PAPER_2, "eval/1/blocks.0.ff.act", r"1\.7\b", _gelu("x * torch.sigmoid(1.7 * x)"),
    ),
    Mutant(
        "silu-for-gelu", "gelu", "gelu is silu, of slope 1",
        JULIA_2, "eval/1/blocks.1.boom_gelu", r"\bsilu", _gelu("F.silu(x)"),
    ),
    Mutant(
        "relu-for-gelu", "gelu", "gelu is relu",
        PAPER_2, "eval/1/blocks.0.ff.act", r"\brelu", _gelu("F.relu(x)"),
    ),
    Mutant(
        "gelu-in-float16", "gelu", "gelu passes through half precision",
        JULIA_1, "eval/1/blocks.1.boom_gelu", r"\bfloat16", _gelu("(x * torch.sigmoid(1.702 * x)).half().to(x.dtype)"),
    ),
    Mutant(
        "chunk-sums-in-reverse", "chunk sum", "the sums of the chunks fill the output from its end",
        JULIA_1, "eval/1/blocks.1.boom", r"revers",
        _fold("F.pad(chunks.sum(-1), (0, self.emb - count))", "F.pad(chunks.sum(-1), (0, self.emb - count)).flip(-1)"),
    ),
    Mutant(
        "chunks-averaged-by-julia", "chunk sum", "each chunk is averaged, not summed",
        JULIA_2, "eval/1/blocks.1.boom", r"mean", _fold("chunks.sum(-1)", "chunks.mean(-1)"),
    ),
    Mutant(
        "chunks-summed-elementwise-by-julia", "chunk sum", "the chunks are added up element by element, as the paper's",
        JULIA_1, "eval/1/blocks.1.boom", r"element by element;",
        _fold("F.pad(chunks.sum(-1), (0, self.emb - count))", "chunks.sum(-2)"),
    ),
    Mutant(
        "chunks-averaged", "chunk sum", "the chunks are averaged, not summed",
        PAPER_1, "eval/1/blocks.0.ff", r"mean", _fold("chunks.sum(-2)", "chunks.mean(-2)"),
    ),
    Mutant(
        "chunks-interleaved", "chunk sum", "neighbouring features are added up, not chunks",
        PAPER_2, "eval/1/blocks.0.ff", r"neighbouring",
        _fold("chunks.sum(-2)", "chunks.reshape(*x.shape[:-1], self.emb, count).sum(-1)"),
    ),
    Mutant(
        "last-chunk-left-out", "chunk sum", "the last chunk is not added",
        PAPER_WIDE, "eval/1/blocks.0.ff", r"last chunk", _fold("chunks.sum(-2)", "chunks[..., :-1, :].sum(-2)"),
    ),
    Mutant(
        "block-without-residual", "residual", "a block's output is the Boom's alone",
        JULIA_1, "eval/1/blocks.1.out", r"lnff out", _sum("self.boom(x, note)"),
    ),
    Mutant(
        "block-without-residual-in-the-papers", "residual", "the same, where the sum is not recorded",
        PAPER_2, "eval/1/blocks.1.lnstart", r"lnff out", _sum("self.boom(x, note)"),
    ),
    Mutant(
        "residual-not-normed", "residual", "the Boom is added to the rows before lnff",
        JULIA_1, "eval/1/blocks.1.out", r"takes .*rnn;", _sum("h + self.boom(x, note)"),
    ),
]  # fmt: skip
