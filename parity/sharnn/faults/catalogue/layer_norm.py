"""Faults of layer normalisation, in each program's way of it and in what is normalised."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_2, JULIA_4, PAPER_1, PAPER_2, Mutant
from parity.sharnn.faults.plant import Edit, Value

PLACE = "layer norm"
JULIA_FIRST, PAPER_FIRST = "eval/1/blocks.1.lnstart", "eval/1/blocks.0.lnstart"


def _norm(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:LayerNorm.forward", old, new)


def _paper(new: str) -> Edit:
    return _norm("F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)", new)


def _in_block(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:Block.forward", old, new)


MUTANTS = [
    Mutant(
        "norm-over-n", PLACE, "the variance is divided by n, not by n - 1",
        JULIA_1, JULIA_FIRST, r"by n = 8", _norm("(x.shape[-1] - 1)", "x.shape[-1]"),
    ),
    Mutant(
        "norm-over-n-minus-1", PLACE, "the variance is divided by n - 1, not by n",
        PAPER_1, PAPER_FIRST, r"by n - 1 = 7",
        _paper("self.weight * (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + EPS).sqrt() + self.bias"),
    ),
    Mutant(
        "norm-with-torchs-eps", PLACE, "eps is 1e-5, torch's own",
        PAPER_2, PAPER_FIRST, r"eps = 1e-05", Value("sharnn_py.layers:EPS", "1e-5"),
    ),
    Mutant(
        "norm-with-a-large-eps-inside", PLACE, "eps is 1e-3 and inside the root, not outside",
        JULIA_1, JULIA_FIRST, r"inside the root.*0\.001",
        _norm("centred / (std + EPS)", "centred / (std.square() + 1e-3).sqrt()"),
    ),
    Mutant(
        "norm-without-gain", PLACE, "the gain is left out",
        JULIA_1, JULIA_FIRST, r"gain", _norm("self.weight * (centred", "(centred"),
    ),
    Mutant(
        "norm-without-bias", PLACE, "the bias is left out",
        PAPER_1, PAPER_FIRST, r"bias", _paper("F.layer_norm(x, x.shape[-1:], self.weight, None, EPS)"),
    ),
    Mutant(
        "norm-with-one-plus-gain", PLACE, "the result is multiplied by one plus the gain",
        JULIA_2, JULIA_FIRST, r"1 \+ gain", _norm("self.weight * (centred", "(1 + self.weight) * (centred"),
    ),
    Mutant(
        "norm-without-mean", PLACE, "the mean is not subtracted, as in an RMS norm",
        JULIA_2, JULIA_FIRST, r"centre|mean", _norm("x - x.mean(-1, keepdim=True)", "x"),
    ),
    Mutant(
        "norm-over-time", PLACE, "each feature is normalised over the steps",
        PAPER_1, PAPER_FIRST, r"axis 0|over time",
        _paper(
            "self.weight * (x - x.mean(0)) / (x.var(0, unbiased=False) + EPS).sqrt() + self.bias",
        ),
    ),
    Mutant(
        "norm-by-the-variance", PLACE, "the root of the variance is not taken",
        JULIA_1, JULIA_FIRST, r"by the variance", _norm("(x.shape[-1] - 1)).sqrt()", "(x.shape[-1] - 1))"),
    ),
    Mutant(
        "norm-in-bfloat16", PLACE, "the norm is computed in bfloat16",
        PAPER_1, PAPER_FIRST, r"bfloat16",
        _paper(
            "F.layer_norm(x.bfloat16(), x.shape[-1:], self.weight.bfloat16(), self.bias.bfloat16(), EPS).to(x.dtype)"
        ),
    ),
    Mutant(
        "last-norm-of-the-normed", PLACE, "lnxff is given lnff's output, not its input",
        JULIA_2, "eval/1/blocks.1.lnxff", r"takes .*lnff;", _in_block("self.lnxff(h)", "self.lnxff(residual)"),
    ),
    Mutant(
        "memory-normed-by-lnmid", PLACE, "new memory rows are normed with lnmid's gain and bias",
        JULIA_2, "eval/1/blocks.1.lnmem", r"lnmid", _in_block("self.lnmem(h)", "self.lnmid(h)"),
    ),
    Mutant(
        "middle-norm-left-out", PLACE, "lnmid is left out",
        JULIA_4, "eval/1/blocks.3.lnmid", r"leaves this step out|normalise",
        _in_block('note("lnmid", self.lnmid(h))', 'note("lnmid", h)'),
    ),
]  # fmt: skip
