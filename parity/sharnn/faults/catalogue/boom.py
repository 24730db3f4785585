"""Faults of the Boom layer and of the block's last sum."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_2, PAPER_1, PAPER_2, PAPER_WIDE, Fault
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


FAULTS = [
    Fault("boom-without-bias", PLACE, "the first map's bias is not added", _linear("F.linear(x, self.linear.weight)"),
          JULIA_1, "eval/1/blocks.1.boom_lin1", r"bias", scenes={"julia": "leaves the bias out"}),
    Fault("boom-matrix-read-by-columns", PLACE, "the first map's matrix is read column by column, as Fortran stores it",
          _linear("F.linear(x, self.linear.weight.mT.reshape(self.linear.weight.shape), self.linear.bias)"),
          PAPER_1, "eval/1/blocks.0.ff.linear1", r"reshape"),
    Fault("gelu-by-erf", "gelu", "gelu is the exact one, by erf", _gelu("F.gelu(x)"),
          JULIA_1, "eval/1/blocks.1.boom_gelu", r"erf", scenes={"julia": "the exact gelu, by erf"}),
    Fault("gelu-by-tanh", "gelu", "gelu is the approximation by tanh", _gelu('F.gelu(x, approximate="tanh")'),
          PAPER_1, "eval/1/blocks.0.ff.act", r"tanh", scenes={"julia": "the tanh gelu"}),
    Fault("gelu-by-1.7", "gelu", "gelu's slope is 1.7, not 1.702", _gelu("x * torch.sigmoid(1.7 * x)"),
          PAPER_2, "eval/1/blocks.0.ff.act", r"1\.7\b", scenes={"julia": "x sigmoid(1.7 x)"}),
    Fault("silu-for-gelu", "gelu", "gelu is silu, of slope 1", _gelu("F.silu(x)"),
          JULIA_2, "eval/1/blocks.1.boom_gelu", r"\bsilu", scenes={"julia": "silu"}),
    Fault("relu-for-gelu", "gelu", "gelu is relu", _gelu("F.relu(x)"), PAPER_2, "eval/1/blocks.0.ff.act", r"\brelu",
          scenes={"julia": "relu"}),
    Fault("gelu-in-float16", "gelu", "gelu passes through half precision",
          _gelu("(x * torch.sigmoid(1.702 * x)).half().to(x.dtype)"),
          JULIA_1, "eval/1/blocks.1.boom_gelu", r"\bfloat16"),
    Fault("chunk-sums-in-reverse", "chunk sum", "the sums of the chunks fill the output from its end",
          _fold("(0, self.emb - count))", "(0, self.emb - count)).flip(-1)"),
          JULIA_1, "eval/1/blocks.1.boom", r"revers"),
    Fault("chunks-averaged-by-julia", "chunk sum", "each chunk is averaged, not summed",
          _fold("chunks.sum(-1)", "chunks.mean(-1)"), JULIA_2, "eval/1/blocks.1.boom", r"mean",
          scenes={"julia": "gives the mean of each chunk"}),
    Fault("chunks-summed-elementwise-by-julia", "chunk sum",
          "the chunks are added up element by element, as the paper's",
          _fold("F.pad(chunks.sum(-1), (0, self.emb - count))", "chunks.sum(-2)"),
          JULIA_1, "eval/1/blocks.1.boom", r"element by element;", scenes={"julia": "element by element"}),
    Fault("chunks-averaged", "chunk sum", "the chunks are averaged, not summed",
          _fold("chunks.sum(-2)", "chunks.mean(-2)"), PAPER_1, "eval/1/blocks.0.ff", r"mean",
          scenes={"paper": "the mean of the chunks"}),
    Fault("chunks-interleaved", "chunk sum", "neighbouring features are added up, not chunks",
          _fold("chunks.sum(-2)", "chunks.reshape(*x.shape[:-1], self.emb, count).sum(-1)"),
          PAPER_2, "eval/1/blocks.0.ff", r"neighbouring", scenes={"paper": "neighbouring features"}),
    Fault("last-chunk-left-out", "chunk sum", "the last chunk is not added",
          _fold("chunks.sum(-2)", "chunks[..., :-1, :].sum(-2)"), PAPER_WIDE, "eval/1/blocks.0.ff", r"last chunk",
          scenes={"paper": "leaves the last chunk out"}),
    Fault("block-without-residual", "residual", "a block's output is the Boom's alone", _sum("self.boom(x, note)"),
          JULIA_1, "eval/1/blocks.1.out", r"lnff out", scenes={"julia": "leaves blocks.0.lnff out"}),
    Fault("block-without-residual-in-the-papers", "residual", "the same, where the sum is not recorded",
          _sum("self.boom(x, note)"), PAPER_2, "eval/1/blocks.1.lnstart", r"lnff out",
          scenes={"smerity": "leaves blocks.0.lnff out"}),
    Fault("residual-not-normed", "residual", "the Boom is added to the rows before lnff",
          _sum("h + self.boom(x, note)"), JULIA_1, "eval/1/blocks.1.out", r"takes .*rnn;",
          scenes={"julia": "takes blocks.0.rnn; the reference takes blocks.0.lnff"}),
    Fault("gelu-is-its-sigmoid", "gelu", "gelu is sigmoid(1.702 x), not multiplied by x",
          Edit("sharnn_py.layers:gelu", "x * torch.sigmoid", "torch.sigmoid"),
          scenes={"julia": "sigmoid(1.702 x) alone"}),
    Fault("gelu-twice", "gelu", "", Edit("sharnn_py.layers:Boom.forward", "gelu(x)", "gelu(gelu(x))"),
          scenes={"julia": "its function twice"}),
    Fault("chunks-summed-and-reversed", "chunk sum", "the features of the paper's sum are in reverse",
          _fold("chunks.sum(-2)", "chunks.sum(-2).flip(-1)"), scenes={"paper": "reverse"}),
    Fault("zeros-before-the-chunk-sums", "chunk sum", "the sums of the chunks fill the output's end, after the zeros",
          _fold("(0, self.emb - count)", "(self.emb - count, 0)"), scenes={"julia": "gives zeros first"}),
    Fault("boom-subtracted", "residual", "", _sum("residual - self.dropout(self.boom(x, note))"),
          scenes={"julia": "subtracts blocks.0.boom"}),
    Fault("boom-added-to-its-input", "residual", "the Boom is added to what it is given, lnxff's rows",
          _sum("x + self.dropout(self.boom(x, note))"), scenes={"julia": "takes blocks.0.lnxff"}),
]  # fmt: skip
