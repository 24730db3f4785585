"""Faults of the LSTM: gates, biases, matrices, the cell itself, and what it starts from."""

from __future__ import annotations

from parity.sharnn.faults.fault import BASELINE_2, BASELINE_3, JULIA_1, JULIA_2, JULIA_STEPS, PAPER_1, PAPER_2, Mutant
from parity.sharnn.faults.plant import Edit

PLACE = "LSTM"
JULIA_FIRST, PAPER_FIRST = "eval/1/blocks.1.rnn", "eval/1/blocks.0.rnn"
BLOCK = "sharnn_py.model:Block.forward"
CALL = "h, (h_n, c_n) = self.rnn(h, (state.h[None], state.c[None]))"


def _weights(each: str) -> Edit:
    """The LSTM with other weights: `each` of every `w`, number `k`: input, recurrent matrix, input, recurrent bias."""
    weights = f"[{each} for k, w in enumerate(self.rnn.parameters())]"
    zeros = "True, 1, 0.0, False, False, False"
    return Edit(BLOCK, CALL, f"h, h_n, c_n = torch.lstm(h, (state.h[None], state.c[None]), {weights}, {zeros})")


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
    return Edit(BLOCK, CALL, "\n    ".join(lines))


MUTANTS = [
    Mutant(
        "gates-taken-in-the-order-icfo", PLACE, "the gates f and c are taken for each other",
        JULIA_1, JULIA_FIRST, r"\bi, c, f, o\b", _gates("icfo"),
    ),
    Mutant(
        "gates-taken-in-onnxs-order", PLACE, "the gates are taken in ONNX's order",
        PAPER_1, PAPER_FIRST, r"\bi, o, f, c\b", _gates("iofc"),
    ),
    Mutant(
        "recurrent-bias-left-out", PLACE, "the second bias is not added",
        JULIA_1, JULIA_FIRST, r"recurrent bias.* out", _weights("w * (k != 3)"),
    ),
    Mutant(
        "both-biases-left-out", PLACE, "no bias is added",
        PAPER_1, PAPER_FIRST, r"both biases out", _weights("w * (k < 2)"),
    ),
    Mutant(
        "forget-bias-raised", PLACE, "one is added to the forget gate's bias, as Keras and TensorFlow do",
        JULIA_2, JULIA_FIRST, r"forget",
        _weights("torch.cat([g + (k == 2 and n == 1) for n, g in enumerate(w.chunk(4))])"),
    ),
    Mutant(
        "matrices-taken-exchanged", PLACE, "the input and the recurrent matrix are taken for each other",
        PAPER_1, PAPER_FIRST, r"exchang.*weight", _weights("list(self.rnn.parameters())[(1, 0, 2, 3)[k]]"),
    ),
    Mutant(
        "recurrent-matrix-transposed", PLACE, "every gate's recurrent matrix is transposed",
        JULIA_1, JULIA_FIRST, r"transpos.*recurrent",
        _weights("torch.cat([g.mT for g in w.chunk(4)]) if k == 1 else w"),
    ),
    Mutant(
        "input-matrix-read-by-columns", PLACE, "the input matrix is read column by column, as Fortran stores it",
        JULIA_2, JULIA_FIRST, r"input.*reshape", _weights("w.mT.reshape(w.shape) if k == 0 else w"),
    ),
    Mutant(
        "candidate-by-sigmoid", PLACE, "the new content goes through a sigmoid, not through tanh",
        PAPER_1, PAPER_FIRST, r"sigmoid to the new", _cell("g.sigmoid()", "f * c_n + i * g", "o * c_n.tanh()"),
    ),
    Mutant(
        "cell-not-squashed", PLACE, "the output is the gated cell, without tanh",
        JULIA_1, JULIA_FIRST, r"no tanh", _cell("g.tanh()", "f * c_n + i * g", "o * c_n"),
    ),
    Mutant(
        "gates-coupled", PLACE, "the forget gate is one minus the input gate",
        JULIA_2, JULIA_FIRST, r"1 - i", _cell("g.tanh()", "(1 - i) * c_n + i * g", "o * c_n.tanh()"),
    ),
    Mutant(
        "lstm-adds-its-input", PLACE, "the LSTM's output is added to its input, an option neither program takes",
        PAPER_2, PAPER_FIRST, r"adds .*lnstart", Edit(BLOCK, CALL, f"x = h\n    {CALL}\n    h = h + x"),
    ),
    Mutant(
        "lstm-runs-backwards", PLACE, "the LSTM runs from the segment's last step to its first",
        JULIA_2, JULIA_FIRST, r"backward", Edit(BLOCK, CALL, CALL.replace("rnn(h,", "rnn(h.flip(0),")),
    ),
    Mutant(
        "hidden-state-of-the-first-step", PLACE, "the hidden state to carry on is the first step's",
        JULIA_2, "eval/1/blocks.1.hidden_h", r"first step", Edit(BLOCK, 'note("h", h_n[0])', 'note("h", h[0])'),
    ),
    Mutant(
        "cell-state-is-the-hidden-state", PLACE, "the hidden state is carried on as the cell state, too",
        PAPER_2, "eval/1/blocks.0.rnn.c", r"h in place of c", Edit(BLOCK, 'note("c", c_n[0])', 'note("c", h_n[0])'),
    ),
    Mutant(
        "h-and-c-taken-for-each-other", PLACE, "the LSTM starts from h as its cell and c as its hidden state",
        JULIA_1, "eval/2/blocks.1.rnn", r"exchang.*h and c",
        Edit(BLOCK, "(state.h[None], state.c[None])", "(state.c[None], state.h[None])"),
    ),
    Mutant(
        "lstm-starts-anew", PLACE, "the LSTM starts every segment from zeros",
        JULIA_STEPS, "eval/2/blocks.1.rnn", r"zeros",
        Edit(BLOCK, "self.rnn(h, (state.h[None], state.c[None]))", "self.rnn(h)"),
    ),
    Mutant(
        "lstm-starts-without-its-cell", PLACE, "the LSTM starts every segment from the carried h and a cell of zeros",
        PAPER_1, "eval/2/blocks.0.rnn", r"c from zeros",
        Edit(BLOCK, "(state.h[None], state.c[None])", "(state.h[None], 0 * state.c[None])"),
    ),
    Mutant(
        "baseline-starts-anew", "baseline", "the baseline's LSTM starts every segment from zeros",
        BASELINE_2, "eval/2/rnn", r"zeros",
        Edit("sharnn_py.baseline:Baseline.forward", "self.rnn(x, state)", "self.rnn(x)"),
    ),
    Mutant(
        "baseline-projection-without-bias", "baseline", "the baseline's projection adds no bias",
        BASELINE_2, "eval/1/logits", r"bias",
        Edit(
            "sharnn_py.baseline:Baseline.forward",
            "self.projection(self.dropout(x))", "self.dropout(x) @ self.projection.weight.mT",
        ),
    ),
    Mutant(
        "baseline-layers-exchanged", "baseline", "its LSTM's second and third layer change places",
        BASELINE_3, "eval/1/rnn", r"layer",
        Edit(
            "sharnn_py.weights.julia:baseline_rows",
            "rnn.weight_{side}_l{layer}\" for layer in range(config.layers)",
            "rnn.weight_{side}_l{layer}\" for layer in (0, 2, 1)",
        ),
    ),
]  # fmt: skip
