"""Faults of layer normalisation, in each program's way of it and in what is normalised."""

from __future__ import annotations

from parity.sharnn.faults.catalogue.source import in_block
from parity.sharnn.faults.fault import JULIA_1, JULIA_2, JULIA_4, PAPER_1, PAPER_2, Fault
from parity.sharnn.faults.plant import Edit, Value

PLACE = "layer norm"
NORMED = "return self.weight * (centred / (std + EPS)) + self.bias"
OWN = "self.weight * (x - x.mean(-1, keepdim=True)) / "
JULIA_FIRST, PAPER_FIRST = "eval/1/blocks.1.lnstart", "eval/1/blocks.0.lnstart"


def _norm(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:LayerNorm.forward", old, new)


def _paper(new: str) -> Edit:
    return _norm("F.layer_norm(x, x.shape[-1:], self.weight, self.bias, EPS)", new)


FAULTS = [
    Fault("norm-over-n", PLACE, "the variance is divided by n, not by n - 1", _norm("(x.shape[-1] - 1)", "x.shape[-1]"),
          JULIA_1, JULIA_FIRST, r"by n = 8",
          scenes={"julia": "divides the variance by n = 8; the reference by n - 1 = 7"}),
    Fault("norm-over-n-minus-1", PLACE, "the variance is divided by n - 1, not by n",
          _paper("self.weight * (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + EPS).sqrt() + self.bias"),
          PAPER_1, PAPER_FIRST, r"by n - 1 = 7"),
    Fault("norm-with-torchs-eps", PLACE, "eps is 1e-5, torch's own", Value("sharnn_py.layers:EPS", "1e-5"),
          PAPER_2, PAPER_FIRST, r"eps = 1e-05", scenes={"paper": "takes eps = 1e-05; the reference 1e-12"}),
    Fault("norm-with-a-large-eps-inside", PLACE, "eps is 1e-3 and inside the root, not outside",
          _norm("centred / (std + EPS)", "centred / (std.square() + 1e-3).sqrt()"),
          JULIA_1, JULIA_FIRST, r"inside the root.*0\.001",
          scenes={"julia": "adds eps inside the root and takes eps = 0.001"}),
    Fault("norm-without-gain", PLACE, "the gain is left out", _norm("self.weight * (centred", "(centred"),
          JULIA_1, JULIA_FIRST, r"gain", scenes={"julia": "leaves the gain out"}),
    Fault("norm-without-bias", PLACE, "the bias is left out",
          _paper("F.layer_norm(x, x.shape[-1:], self.weight, None, EPS)"), PAPER_1, PAPER_FIRST, r"bias"),
    Fault("norm-with-one-plus-gain", PLACE, "the result is multiplied by one plus the gain",
          _norm("self.weight * (centred", "(1 + self.weight) * (centred"), JULIA_2, JULIA_FIRST, r"1 \+ gain",
          scenes={"julia": "multiplies by 1 + gain"}),
    Fault("norm-without-mean", PLACE, "the mean is not subtracted, as in an RMS norm",
          _norm("x - x.mean(-1, keepdim=True)", "x"), JULIA_2, JULIA_FIRST, r"centre|mean",
          scenes={"julia": "does not centre (an RMS norm)"}),
    Fault("norm-over-time", PLACE, "each feature is normalised over the steps",
          _paper("self.weight * (x - x.mean(0)) / (x.var(0, unbiased=False) + EPS).sqrt() + self.bias"),
          PAPER_1, PAPER_FIRST, r"axis 0|over time", scenes={"paper": "normalises over axis 0"}),
    Fault("norm-by-the-variance", PLACE, "the root of the variance is not taken",
          _norm("(x.shape[-1] - 1)).sqrt()", "(x.shape[-1] - 1))"), JULIA_1, JULIA_FIRST, r"by the variance",
          scenes={"julia": "divides by the variance"}),
    Fault("norm-in-bfloat16", PLACE, "the norm is computed in bfloat16",
          _paper(
            "F.layer_norm(x.bfloat16(), x.shape[-1:], self.weight.bfloat16(), self.bias.bfloat16(), EPS).to(x.dtype)"
        ), PAPER_1, PAPER_FIRST, r"bfloat16", scenes={"paper": "bfloat16"}),
    Fault("last-norm-of-the-normed", PLACE, "lnxff is given lnff's output, not its input",
          in_block("self.lnxff(h)", "self.lnxff(residual)"), JULIA_2, "eval/1/blocks.1.lnxff", r"takes .*lnff;",
          scenes={"julia": "takes blocks.0.lnff; the reference takes blocks.0.post_rnn"}),
    Fault("memory-normed-by-lnmid", PLACE, "new memory rows are normed with lnmid's gain and bias",
          in_block("self.lnmem(h)", "self.lnmid(h)"), JULIA_2, "eval/1/blocks.1.lnmem", r"lnmid",
          scenes={"julia": "(of blocks.1.lnmid)"}),
    Fault("middle-norm-left-out", PLACE, "lnmid is left out",
          in_block('note("lnmid", self.lnmid(h))', 'note("lnmid", h)'),
          JULIA_4, "eval/1/blocks.3.lnmid", r"leaves this step out|normalise"),
    Fault("norm-over-n-minus-1-without-eps", PLACE, "the paper's norm divides by Tensor.std, of n - 1 and without eps",
          _paper(f"{OWN}x.std(-1, keepdim=True) + self.bias"), scenes={"paper": "n - 1 = 7; the reference by n = 8"}),
    Fault("norm-with-a-large-eps-outside", PLACE, "the paper's norm adds an eps of 1e-3, and outside the root",
          _paper(f"{OWN}(x.std(-1, keepdim=True, unbiased=False) + 1e-3) + self.bias"),
          scenes={"paper": "eps outside the root"}),
    Fault("norm-with-a-large-eps", PLACE, "eps is 1e-3", _norm("std + EPS", "std + 1e-3"),
          scenes={"julia": "takes eps = 0.001"}),
    Fault("norm-without-bias-by-julia", PLACE, "Julia's norm leaves the bias out", _norm(" + self.bias", ""),
          scenes={"julia": "leaves the bias out"}),
    Fault("norm-minus-bias", PLACE, "the bias is subtracted", _norm(" + self.bias", " - self.bias"),
          scenes={"julia": "subtracts the bias"}),
    Fault("norm-divides-without-centring", PLACE, "the mean is subtracted for the deviation and not from the result",
          _norm("self.weight * (centred", "self.weight * (x"), scenes={"julia": "does not subtract the mean"}),
    Fault("norm-only-gains", PLACE, "gain and bias are applied to rows that are not normalised",
          _norm(NORMED, "return self.weight * x + self.bias"), scenes={"julia": "does not normalise"}),
    Fault("bias-of-a-norm-in-float16", PLACE, "", _norm(NORMED, f"{NORMED}.half().to(x.dtype)"),
          scenes={"julia": "float16"}),
    Fault("gain-and-bias-of-a-norm-exchanged", PLACE, "",
          _norm(NORMED, "return self.bias * (centred / (std + EPS)) + self.weight"),
          scenes={"julia": "in each other's place"}),
    Fault("first-norm-left-out", PLACE, "lnstart is left out", in_block("self.lnstart(h)", "h"),
          scenes={"julia": "leaves this step out (the layer norm) and gives blocks.0.in"}),
    Fault("lnff-is-lnxff", PLACE, "lnff's gain and bias are lnxff's", in_block("self.lnff(h)", "self.lnxff(h)"),
          scenes={"julia": "(of blocks.0.lnxff)"}),
    Fault("memory-normed-twice", PLACE, "new memory rows are normed twice",
          in_block("self.lnmem(h)", "self.lnmem(self.lnmem(h))"), scenes={"julia": "normalises twice"}),
    Fault("middle-norm-of-the-memory-rows", PLACE, "lnmid is given the new memory rows",
          in_block("self.lnmid(h)", "self.lnmid(new)"),
          scenes={"julia": "takes blocks.1.lnmem; the reference takes blocks.1.post_rnn"}),
]  # fmt: skip
