"""Faults of loading: what the port holds is not what was given to it, or holds it in a wrong order.

Most are of the way in alone, so that what is written back differs. Those of the table of names serve both ways: what is
written back is right, and the first layer that computes with it is not.
"""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_2, JULIA_HEADS, PAPER_2, Fault
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


FAULTS = [
    Fault("query-loaded-transposed", PLACE, "the queries' matrix is not transposed on its way from Julia",
          _from_julia(_only("'attn.q.weight'", "t.mT")), JULIA_2, "param/blocks.1.attn.q.w", r"transpos"),
    Fault("gates-loaded-in-the-order-icfo", PLACE, "the LSTM's gates f and c change places",
          _from_julia(_only("'.rnn.'", "torch.cat([t.chunk(4)[k] for k in (0, 2, 1, 3)])")),
          JULIA_2, "param/blocks.1.rnn.w", r"\bi, c, f, o\b",
          scenes={"julia": "gates in the order i, c, f, o; the reference i, f, c, o",
                  "julia, parameters not recorded": "the reference takes its gates in the order i, c, f, o"}),
    Fault("biases-loaded-exchanged", PLACE, "the LSTM's two biases change places, which no output shows",
          _from_julia(_other_side("bias_")), JULIA_2, "param/blocks.1.rnn.w", r"exchang.*bias|bias.*exchang"),
    Fault("recurrent-bias-dropped-at-loading", PLACE, "the second of the LSTM's biases is left at zero",
          _from_julia(_only("'bias_hh'", "torch.zeros_like(t)")),
          JULIA_2, "param/blocks.1.rnn.w", r"(zero|leaves).*bias|bias.*(zero|left out)"),
    Fault("matrices-loaded-exchanged", PLACE, "the LSTM's input and recurrent matrices change places",
          _from_julia(_other_side("weight_")),
          JULIA_2, "param/blocks.1.rnn.w", r"exchang.*(matri|weight)|(matri|weight).*exchang"),
    Fault("gains-of-keys-and-values-loaded-exchanged", PLACE, "ks and vs change places",
          _from_julia("p[n[:-2] + {'ks': 'vs', 'vs': 'ks'}[n[-2:]]] if n[-2:] in ('ks', 'vs') else t"),
          JULIA_2, "param/blocks.1.attn.ks", r"\bvs\b"),
    Fault("parameters-loaded-in-float16", PLACE, "every parameter passes through half precision",
          _from_julia("t.half().float()"), JULIA_2, "param/encoder.w", r"\bfloat16"),
    Fault("parameters-loaded-in-bfloat16", PLACE, "every parameter passes through bfloat16",
          _from_smerity("t.bfloat16().float()"), PAPER_2, "param/encoder.weight", r"bfloat16"),
    Fault("lstm-loaded-from-the-other-block", PLACE, "the two blocks' LSTMs change places",
          _from_julia("p[n.replace(n[7], '10'[int(n[7])], 1)] if '.rnn.' in n else t"),
          JULIA_2, "param/blocks.1.rnn.w", r"blocks\.2"),
    Fault("gain-of-a-norm-not-loaded", PLACE, "the first norm's gain stays at one",
          _from_julia(_only("'lnstart.weight'", "torch.ones_like(t)")),
          JULIA_2, "param/blocks.1.lnstart.gamma", r"\bones?\b"),
    Fault("lstm-matrices-loaded-transposed", PLACE, "every gate's input matrix is transposed",
          _from_smerity("torch.cat([g.mT for g in t.chunk(4)]) if 'weight_ih' in n else t"),
          PAPER_2, "param/blocks.0.rnn.weight_ih_l0", r"transpos"),
    Fault("decoder-bias-not-loaded", PLACE, "the tied decoder's bias stays at zero",
          _from_smerity("t * 0 if n == 'decoder.bias' else t"), PAPER_2, "param/decoder.bias", r"zero"),
    Fault("decoder-loaded-from-the-embedding", PLACE, "an untied decoder is given the embedding's weight",
          _from_julia("p['encoder.weight'].clone() if n == 'decoder.weight' else t"),
          JULIA_HEADS, "param/decoder.w", r"encoder"),
    Fault("query-taken-as-it-lies", PLACE, "the table of names does not transpose the queries' matrix, either way",
          Edit(
            "sharnn_py.weights.julia:rows", "return table +",
            "return [(a, b, SAME if 'attn.q.w' in a else layout) for a, b, layout in table] +",
        ), JULIA_2, "eval/1/blocks.1.attn.q_linear", r"transpos"),
    Fault("biases-of-lnff-and-lnxff-exchanged", PLACE, "the table of names has lnff's bias for lnxff's, either way",
          Edit(
            "sharnn_py.weights.smerity:rows", "return table +",
            "other = {'lnff.bias': 'lnxff.bias', 'lnxff.bias': 'lnff.bias'}\n"
            "    return [(a, (b[0][:9] + other.get(b[0][9:], b[0][9:]),), c) for a, b, c in table] +",
        ), PAPER_2, "eval/1/blocks.0.lnff", r"lnxff\.bias"),
    Fault("gates-loaded-in-the-order-icof", PLACE, "the LSTM's gates are stored for another order",
          _from_julia(_only("'.rnn.'", "torch.cat([t.chunk(4)[k] for k in (0, 3, 1, 2)])")),
          scenes={"julia": "gates in the order i, c, o, f"}),
    Fault("input-bias-dropped-at-loading", PLACE, "the first of the LSTM's biases is left at zero",
          _from_julia(_only("'bias_ih'", "torch.zeros_like(t)")),
          scenes={"julia": "leaves the input bias (bias_ih) out"}),
    Fault("recurrent-bias-loaded-twice", PLACE, "", _from_julia(_only("'bias_hh'", "2 * t")),
          scenes={"julia": "adds the recurrent bias (bias_hh) twice"}),
    Fault("recurrent-matrix-loaded-transposed", PLACE, "every gate's recurrent matrix is transposed",
          _from_julia(_only("'weight_hh'", "torch.cat([g.mT for g in t.chunk(4)])")),
          scenes={"julia": "transposes each gate's block of the recurrent weight"}),
    Fault("recurrent-matrix-loaded-scaled", PLACE, "the LSTM's recurrent matrix is scaled by 0.9",
          _from_julia(_only("'weight_hh'", "0.9 * t")),
          scenes={"julia": "holds another param/blocks.0.rnn.weight_hh_l0, which is the recorded one scaled by 0.9"}),
    Fault("input-matrix-loaded-by-columns", PLACE, "the LSTM's input matrix is read column by column",
          _from_julia(_only("'weight_ih'", "t.mT.reshape(t.shape)")),
          scenes={"julia": "the input weight (weight_ih) transposed (reshaped"}),
    Fault("forget-bias-raised-at-loading", PLACE, "one is added to the forget gate's bias",
          _from_julia(_only("'bias_hh'", "t + torch.tensor([0.0, 1, 0, 0]).repeat_interleave(len(t) // 4)")),
          scenes={"julia": "adds 1 to the forget"}),
    Fault("halves-of-the-query-loaded-exchanged", PLACE, "the rows of the queries' matrix are in another order",
          _from_julia(_only("'attn.q.weight'", "torch.cat([t[4:], t[:4]])")),
          scenes={"julia": "rows of the weight alone in 2 blocks"}),
    Fault("query-loaded-in-float16", PLACE, "", _from_julia(_only("'attn.q.weight'", "t.half().float()")),
          scenes={"julia": "rounded to float16"}),
    Fault("query-loaded-in-reverse", PLACE, "the rows of the queries' matrix are in reverse",
          _from_julia(_only("'attn.q.weight'", "t.flip(0)")), scenes={"julia": "rows of the weight in reverse"}),
    Fault("boom-loaded-by-columns", PLACE, "the Boom's matrix is read column by column",
          _from_julia(_only("'boom.linear.weight'", "t.mT.reshape(t.shape)")),
          scenes={"julia": "(reshaped, not transposed)"}),
]  # fmt: skip
