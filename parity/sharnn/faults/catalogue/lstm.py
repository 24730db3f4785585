"""Faults of the LSTM: gates, biases, matrices, the cell itself, and what it starts from."""

from __future__ import annotations

from parity.sharnn.faults.catalogue.source import in_block
from parity.sharnn.faults.fault import BASELINE_2, BASELINE_3, JULIA_1, JULIA_2, JULIA_STEPS, PAPER_1, PAPER_2, Fault
from parity.sharnn.faults.plant import Edit

PLACE = "LSTM"
JULIA_FIRST, PAPER_FIRST = "eval/1/blocks.1.rnn", "eval/1/blocks.0.rnn"
CALL = "h, (h_n, c_n) = self.rnn(h, (state.h[None], state.c[None]))"


def _weights(each: str) -> Edit:
    """The LSTM with other weights: `each` of every `w`, number `k`: input, recurrent matrix, input, recurrent bias."""
    weights = f"[{each} for k, w in enumerate(self.rnn.parameters())]"
    zeros = "True, 1, 0.0, False, False, False"
    return in_block(CALL, f"h, h_n, c_n = torch.lstm(h, (state.h[None], state.c[None]), {weights}, {zeros})")


def _gates(order: str) -> Edit:
    """The weights' four pieces are taken for the gates of `order`."""
    places = tuple(order.index(gate) for gate in "ifco")
    return _weights(f"torch.cat([w.chunk(4)[place] for place in {places}])")


def _cell(candidate: str, cell: str, output: str) -> Edit:
    """An LSTM written out, with other formulas for what is new, for the cell and for the output."""
    lines = (
        "w_ih, w_hh, b_ih, b_hh = self.rnn.parameters()",
        "rows, h_n, c_n = [], state.h, state.c",
        "for x in h:",
        "    i, f, g, o = (F.linear(x, w_ih, b_ih) + F.linear(h_n, w_hh, b_hh)).chunk(4, -1)",
        f"    i, f, g, o = i.sigmoid(), f.sigmoid(), {candidate}, o.sigmoid()",
        f"    c_n = {cell}",
        f"    h_n = {output}",
        "    rows.append(h_n)",
        "h, h_n, c_n = torch.stack(rows), h_n[None], c_n[None]",
    )
    return in_block(CALL, "\n    ".join(lines))


def _around(before: str = "pass", after: str = "pass") -> Edit:
    """Code around the LSTM: `before` changes its input h or its state h0, c0; `after` its output h, h_n, c_n."""
    run = "h, (h_n, c_n) = self.rnn(h, (h0, c0))"
    return in_block(CALL, "\n    ".join(("h0, c0 = state.h[None], state.c[None]", before, run, after)))


FAULTS = [
    Fault("gates-taken-in-the-order-icfo", PLACE, "the gates f and c are taken for each other", _gates("icfo"),
          JULIA_1, JULIA_FIRST, r"\bi, c, f, o\b"),
    Fault("gates-taken-in-onnxs-order", PLACE, "the gates are taken in ONNX's order", _gates("iofc"),
          PAPER_1, PAPER_FIRST, r"\bi, o, f, c\b"),
    Fault("recurrent-bias-left-out", PLACE, "the second bias is not added", _weights("w * (k != 3)"),
          JULIA_1, JULIA_FIRST, r"recurrent bias.* out"),
    Fault("both-biases-left-out", PLACE, "no bias is added", _weights("w * (k < 2)"),
          PAPER_1, PAPER_FIRST, r"both biases out"),
    Fault("forget-bias-raised", PLACE, "one is added to the forget gate's bias, as Keras and TensorFlow do",
          _weights("torch.cat([g + (k == 2 and n == 1) for n, g in enumerate(w.chunk(4))])"),
          JULIA_2, JULIA_FIRST, r"forget"),
    Fault("matrices-taken-exchanged", PLACE, "the input and the recurrent matrix are taken for each other",
          _weights("list(self.rnn.parameters())[(1, 0, 2, 3)[k]]"), PAPER_1, PAPER_FIRST, r"exchang.*weight"),
    Fault("recurrent-matrix-transposed", PLACE, "every gate's recurrent matrix is transposed",
          _weights("torch.cat([g.mT for g in w.chunk(4)]) if k == 1 else w"),
          JULIA_1, JULIA_FIRST, r"transpos.*recurrent"),
    Fault("input-matrix-read-by-columns", PLACE, "the input matrix is read column by column, as Fortran stores it",
          _weights("w.mT.reshape(w.shape) if k == 0 else w"), JULIA_2, JULIA_FIRST, r"input.*reshape"),
    Fault("candidate-by-sigmoid", PLACE, "the new content goes through a sigmoid, not through tanh",
          _cell("g.sigmoid()", "f * c_n + i * g", "o * c_n.tanh()"), PAPER_1, PAPER_FIRST, r"sigmoid to the new",
          scenes={"julia": "the sigmoid to the new cell input"}),
    Fault("cell-not-squashed", PLACE, "the output is the gated cell, without tanh",
          _cell("g.tanh()", "f * c_n + i * g", "o * c_n"), JULIA_1, JULIA_FIRST, r"no tanh",
          scenes={"julia": "no tanh to the cell state"}),
    Fault("gates-coupled", PLACE, "the forget gate is one minus the input gate",
          _cell("g.tanh()", "(1 - i) * c_n + i * g", "o * c_n.tanh()"), JULIA_2, JULIA_FIRST, r"1 - i",
          scenes={"julia": "f = 1 - i"}),
    Fault("lstm-adds-its-input", PLACE, "the LSTM's output is added to its input, an option neither program takes",
          in_block(CALL, f"x = h\n    {CALL}\n    h = h + x"), PAPER_2, PAPER_FIRST, r"adds .*lnstart",
          scenes={"julia": "adds its input blocks.0.lnstart"}),
    Fault("lstm-runs-backwards", PLACE, "the LSTM runs from the segment's last step to its first",
          in_block(CALL, CALL.replace("rnn(h,", "rnn(h.flip(0),")), JULIA_2, JULIA_FIRST, r"backward",
          scenes={"julia": "over time backwards"}),
    Fault("hidden-state-of-the-first-step", PLACE, "the hidden state to carry on is the first step's",
          in_block('note("h", h_n[0])', 'note("h", h[0])'), JULIA_2, "eval/1/blocks.1.hidden_h", r"first step",
          scenes={"julia": "after the first step"}, laws={"torch": "every_segment_is_the_plain_models (julia)"}),
    Fault("cell-state-is-the-hidden-state", PLACE, "the hidden state is carried on as the cell state, too",
          in_block('note("c", c_n[0])', 'note("c", h_n[0])'), PAPER_2, "eval/1/blocks.0.rnn.c", r"h in place of c",
          scenes={"julia": "returns h in place of c"}),
    Fault("h-and-c-taken-for-each-other", PLACE, "the LSTM starts from h as its cell and c as its hidden state",
          in_block("(state.h[None], state.c[None])", "(state.c[None], state.h[None])"),
          JULIA_1, "eval/2/blocks.1.rnn", r"exchang.*h and c", scenes={"julia": "exchanges h and c"}),
    Fault("lstm-starts-anew", PLACE, "the LSTM starts every segment from zeros",
          in_block("self.rnn(h, (state.h[None], state.c[None]))", "self.rnn(h)"),
          JULIA_STEPS, "eval/2/blocks.1.rnn", r"zeros", scenes={"julia": "starts from zeros"}),
    Fault("lstm-starts-without-its-cell", PLACE, "the LSTM starts every segment from the carried h and a cell of zeros",
          in_block("(state.h[None], state.c[None])", "(state.h[None], 0 * state.c[None])"),
          PAPER_1, "eval/2/blocks.0.rnn", r"c from zeros", scenes={"julia": "starts c from zeros"}),
    Fault("baseline-starts-anew", "baseline", "the baseline's LSTM starts every segment from zeros",
          Edit("sharnn_py.baseline:Baseline.forward", "self.rnn(x, state)", "self.rnn(x)"),
          BASELINE_2, "eval/2/rnn", r"zeros"),
    Fault("baseline-projection-without-bias", "baseline", "the baseline's projection adds no bias",
          Edit(
            "sharnn_py.baseline:Baseline.forward",
            "self.projection(self.dropout(x))", "self.dropout(x) @ self.projection.weight.mT",
        ), BASELINE_2, "eval/1/logits", r"bias"),
    Fault("baseline-layers-exchanged", "baseline", "its LSTM's second and third layer change places",
          Edit(
            "sharnn_py.weights.julia:baseline_rows",
            "rnn.weight_{side}_l{layer}\" for layer in range(config.layers)",
            "rnn.weight_{side}_l{layer}\" for layer in (0, 2, 1)",
        ), BASELINE_3, "eval/1/rnn", r"layer"),
    Fault("lstm-starts-without-its-h", PLACE, "the LSTM starts every segment from the carried cell and an h of zeros",
          _around(before="h0 = 0 * h0"), scenes={"julia": "starts h from zeros"}),
    Fault("cell-starts-from-h", PLACE, "the LSTM starts from h for both h and c", _around(before="c0 = h0"),
          scenes={"julia": "starts from h for both"}),
    Fault("lstm-starts-from-another-sequence", PLACE, "the state it starts from is of the batch in reverse",
          _around(before="h0, c0 = h0.flip(1), c0.flip(1)"), scenes={"julia": "with its batch reversed"}),
    Fault("lstm-runs-backwards-and-turns-round", PLACE, "the LSTM runs backwards, and its output is turned round again",
          _around(before="h = h.flip(0)", after="h = h.flip(0)"), scenes={"julia": "turns its output round"}),
    Fault("lstm-input-one-step-late", PLACE, "each step is given the input of the step before",
          _around(before="h = h.roll(1, 0)"),
          scenes={"julia": "blocks.0.lnstart shifted by 1 row later in the time axis"}),
    Fault("hidden-state-is-the-cell-state", PLACE, "the cell state is carried on as the hidden state, too",
          _around(after="h_n = c_n"), scenes={"julia": "returns c in place of h"}),
    Fault("sequences-of-h-reversed-by-the-lstm", PLACE, "the LSTM's last h is of the batch in reverse",
          _around(after="h_n = h_n.flip(1)"), scenes={"julia": "returns its state with the batch reversed"}),
    Fault("lstm-output-in-float16", PLACE, "", _around(after="h = h.half().to(h.dtype)"),
          scenes={"julia": "rounded to float16"}),
    Fault("lstm-output-in-bfloat16", PLACE, "", _around(after="h = h.bfloat16().to(h.dtype)"),
          scenes={"julia": "rounded to bfloat16"}),
    Fault("lstm-input-in-float16", PLACE, "", _around(before="h = h.half().to(h.dtype)"),
          scenes={"julia": "blocks.0.lnstart rounded to float16"}),
    Fault("no-output-gate", PLACE, "", _cell("g.tanh()", "f * c_n + i * g", "c_n.tanh()"),
          scenes={"julia": "has no output gate"}),
    Fault("cell-squashed-by-sigmoid", PLACE, "the output is the gated sigmoid of the cell",
          _cell("g.tanh()", "f * c_n + i * g", "o * c_n.sigmoid()"), scenes={"julia": "the sigmoid to the cell state"}),
    Fault("gates-coupled-the-other-way", PLACE, "the input gate is one minus the forget gate",
          _cell("g.tanh()", "f * c_n + (1 - f) * g", "o * c_n.tanh()"), scenes={"julia": "i = 1 - f"}),
    Fault("no-forget-gate", PLACE, "", _cell("g.tanh()", "c_n + i * g", "o * c_n.tanh()"),
          scenes={"julia": "no forget gate"}),
    Fault("one-step-of-the-output-zero", "part", "the second step of the LSTM's output is zero",
          _around(after="h = torch.cat([h[:1], 0 * h[1:2], h[2:]])"),
          scenes={"julia": "zeros, but only at 1 of the time axis"}),
    Fault("one-sequence-starts-anew", "part", "the second sequence of the batch starts from zeros",
          _around(before="h0, c0 = h0.clone(), c0.clone(); h0[:, 1], c0[:, 1] = 0, 0"),
          scenes={"julia": "but only at 1 of the batch axis"}),
]  # fmt: skip
