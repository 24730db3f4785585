"""Faults of loading: what the port holds is not what was given to it, or holds it in a wrong order.

Most are of the way in alone, so that what is written back differs. The last are of the table of names, which serves
both ways: what is written back is right, and the first layer that computes with it is not.
"""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_2, JULIA_HEADS, PAPER_2, Mutant
from parity.sharnn.faults.plant import Edit

PLACE = "parameters"


def _from_julia(change: str) -> Edit:
    """`change` makes of every loaded tensor `t`, named `n`, another; `p` has all of them."""
    made = "to_ours(parameters, _table(config), parameter_shapes(config), PROGRAM)"
    return Edit("sharnn_py.weights.julia:from_julia", made, f"(p := {made}) and {{n: {change} for n, t in p.items()}}")


def _from_smerity(change: str) -> Edit:
    return Edit(
        "sharnn_py.weights.smerity:from_smerity",
        "return parameters",
        f"p = parameters; return {{n: ({change}).contiguous() for n, t in p.items()}}",
    )


def _only(names: str, change: str) -> str:
    return f"({change}).contiguous() if {names} in n else t"


def _other_side(kind: str) -> str:
    """What is from the input is taken for what is from the state, and the other way round."""
    return f"p[n.replace('_ih_', '_xx_').replace('_hh_', '_ih_').replace('_xx_', '_hh_')] if '{kind}' in n else t"


MUTANTS = [
    Mutant(
        "query-loaded-transposed", PLACE, "the queries' matrix is not transposed on its way from Julia",
        JULIA_2, "param/blocks.1.attn.q.w", r"transpos", _from_julia(_only("'attn.q.weight'", "t.mT")),
    ),
    Mutant(
        "gates-loaded-in-the-order-icfo", PLACE, "the LSTM's gates f and c change places",
        JULIA_2, "param/blocks.1.rnn.w", r"\bi, c, f, o\b",
        _from_julia(_only("'.rnn.'", "torch.cat([t.chunk(4)[k] for k in (0, 2, 1, 3)])")),
    ),
    Mutant(
        "biases-loaded-exchanged", PLACE, "the LSTM's two biases change places, which no output shows",
        JULIA_2, "param/blocks.1.rnn.w", r"exchang.*bias|bias.*exchang", _from_julia(_other_side("bias_")),
    ),
    Mutant(
        "recurrent-bias-dropped-at-loading", PLACE, "the second of the LSTM's biases is left at zero",
        JULIA_2, "param/blocks.1.rnn.w", r"(zero|leaves).*bias|bias.*(zero|left out)",
        _from_julia(_only("'bias_hh'", "torch.zeros_like(t)")),
    ),
    Mutant(
        "matrices-loaded-exchanged", PLACE, "the LSTM's input and recurrent matrices change places",
        JULIA_2, "param/blocks.1.rnn.w", r"exchang.*(matri|weight)|(matri|weight).*exchang",
        _from_julia(_other_side("weight_")),
    ),
    Mutant(
        "gains-of-keys-and-values-loaded-exchanged", PLACE, "ks and vs change places",
        JULIA_2, "param/blocks.1.attn.ks", r"\bvs\b",
        _from_julia("p[n[:-2] + {'ks': 'vs', 'vs': 'ks'}[n[-2:]]] if n[-2:] in ('ks', 'vs') else t"),
    ),
    Mutant(
        "parameters-loaded-in-float16", PLACE, "every parameter passes through half precision",
        JULIA_2, "param/encoder.w", r"\bfloat16", _from_julia("t.half().float()"),
    ),
    Mutant(
        "parameters-loaded-in-bfloat16", PLACE, "every parameter passes through bfloat16",
        PAPER_2, "param/encoder.weight", r"bfloat16", _from_smerity("t.bfloat16().float()"),
    ),
    Mutant(
        "lstm-loaded-from-the-other-block", PLACE, "the two blocks' LSTMs change places",
        JULIA_2, "param/blocks.1.rnn.w", r"blocks\.2",
        _from_julia("p[n.replace(n[7], '10'[int(n[7])], 1)] if '.rnn.' in n else t"),
    ),
    Mutant(
        "gain-of-a-norm-not-loaded", PLACE, "the first norm's gain stays at one",
        JULIA_2, "param/blocks.1.lnstart.gamma", r"\bones?\b",
        _from_julia(_only("'lnstart.weight'", "torch.ones_like(t)")),
    ),
    Mutant(
        "lstm-matrices-loaded-transposed", PLACE, "every gate's input matrix is transposed",
        PAPER_2, "param/blocks.0.rnn.weight_ih_l0", r"transpos",
        _from_smerity("torch.cat([g.mT for g in t.chunk(4)]) if 'weight_ih' in n else t"),
    ),
    Mutant(
        "decoder-bias-not-loaded", PLACE, "the tied decoder's bias stays at zero",
        PAPER_2, "param/decoder.bias", r"zero", _from_smerity("t * 0 if n == 'decoder.bias' else t"),
    ),
    Mutant(
        "decoder-loaded-from-the-embedding", PLACE, "an untied decoder is given the embedding's weight",
        JULIA_HEADS, "param/decoder.w", r"encoder",
        _from_julia("p['encoder.weight'].clone() if n == 'decoder.weight' else t"),
    ),
    Mutant(
        "query-taken-as-it-lies", PLACE, "the table of names does not transpose the queries' matrix, either way",
        JULIA_2, "eval/1/blocks.1.attn.q_linear", r"transpos",
        Edit(
            "sharnn_py.weights.julia:rows", "return table +",
            "return [(a, b, SAME if 'attn.q.w' in a else layout) for a, b, layout in table] +",
        ),
    ),
    Mutant(
        "biases-of-lnff-and-lnxff-exchanged", PLACE, "the table of names has lnff's bias for lnxff's, either way",
        PAPER_2, "eval/1/blocks.0.lnff", r"lnxff\.bias",
        Edit(
            "sharnn_py.weights.smerity:rows", "return table +",
            "other = {'lnff.bias': 'lnxff.bias', 'lnxff.bias': 'lnff.bias'}\n"
            "    return [(a, (b[0][:9] + other.get(b[0][9:], b[0][9:]),), c) for a, b, c in table] +",
        ),
    ),
]  # fmt: skip
