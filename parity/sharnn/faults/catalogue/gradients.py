"""Faults of gradients alone: every output is right, and what flows back is not."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_2, PAPER_1, PAPER_2, PAPER_INSIDE, Mutant
from parity.sharnn.faults.plant import Edit

PLACE = "gradients"
GRAPH = r"not detach"
"""What is said of a state that still hangs on its graph."""


def _in_block(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:Block.forward", old, new)


def _attention(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:Attention.forward", old, new)


def _model(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:SHARNN.forward", old, new)


# Where autograd and the forward pass part, at `backward/<segment>/<tensor>`, from the loss to the segment's beginning:
# so of several norms the last is first, and of the LSTM's outputs, rnn, h and c, it is c.
MUTANTS = [
    Mutant(
        "h-not-detached", PLACE, "gradients go back through h into the segment before",
        JULIA_1, "carry/1/blocks.1.h", GRAPH, _in_block("h_n.detach()", "h_n"),
    ),
    Mutant(
        "c-not-detached", PLACE, "gradients go back through c into the segment before",
        PAPER_1, "carry/1/blocks.0.c", GRAPH, _in_block("c_n.detach()", "c_n"),
    ),
    Mutant(
        "memory-not-detached", PLACE, "gradients go back through the memory into the segment before",
        JULIA_2, "carry/1/blocks.1.memory", GRAPH, _in_block("memory.detach()", "memory"),
    ),
    Mutant(
        "keys-detached", PLACE, "nothing flows back through keys and values",
        JULIA_2, "backward/1/blocks.1.bigh", r"detached",
        _in_block("torch.cat([memory, new])", "torch.cat([memory, new.detach()])"),
    ),
    Mutant(
        "queries-detached", PLACE, "nothing flows back through the queries",
        PAPER_2, "backward/1/blocks.0.attn.q", r"detached", _attention("self.q(h)", "self.q(h.detach())"),
    ),
    Mutant(
        "weights-of-attention-detached", PLACE, "nothing flows back through the attention's weights",
        JULIA_2, "backward/1/blocks.1.attn.mix_heads", r"detached",
        _attention("self.dropout(focus) @ v", "focus.detach() @ v"),
    ),
    Mutant(
        "query-gain-detached", PLACE, "the queries' gain does not learn",
        JULIA_2, "backward/1/blocks.1.attn.q", r"detached", _attention("qs * q)", "qs.detach() * q)"),
    ),
    Mutant(
        "value-gain-detached", PLACE, "the overparametrised gain does not learn",
        JULIA_2, "backward/1/blocks.1.attn.v", r"detached",
        _attention("self.value_gain(note)", "self.value_gain(note).detach()"),
    ),
    Mutant(
        "residual-detached", PLACE, "nothing flows back through lnff",
        JULIA_1, "backward/1/blocks.1.out", r"detached", _in_block("residual + self", "residual.detach() + self"),
    ),
    Mutant(
        "lstm-input-detached", PLACE, "nothing flows back through the LSTM's input",
        PAPER_1, "backward/1/blocks.0.rnn.c", r"detached", _in_block("self.rnn(h,", "self.rnn(h.detach(),"),
    ),
    Mutant(
        "decoders-share-of-a-tied-weight-cut", PLACE, "a tied weight learns as an embedding alone",
        JULIA_1, "backward/1/logits", r"encoder\.weight.*detached",
        _model("self.decoder(h, weight)", "self.decoder(h, weight.detach())"),
    ),
    Mutant(
        "id-0-does-not-learn", PLACE, "id 0 is taken for padding, whose embedding has no gradient",
        PAPER_1, "backward/1/encoder", r"id 0|padding|row 0",
        _model("self.encoder(tokens)", "F.embedding(tokens, weight, 0)"),
    ),
    Mutant(
        "booms-gradient-halved", PLACE, "half as much as should flows back through the Boom",
        JULIA_1, "backward/1/blocks.1.out", r"\b0\.5 times",
        _in_block("self.dropout(self.boom(x, note))", "0.5 * (b := self.boom(x, note)) + 0.5 * b.detach()"),
    ),
    Mutant(
        "gelus-gradient-halved", PLACE, "half as much as should flows back through gelu; gradients inside are recorded",
        PAPER_INSIDE, "backward/1/blocks.1.ff.act", r"\b0\.5 times",
        Edit("sharnn_py.layers:Boom.forward", "gelu(x))", "0.5 * gelu(x) + 0.5 * gelu(x).detach())"),
    ),
    Mutant(
        "deviation-of-a-norm-detached", PLACE, "norms let gradients through as if their deviation were constant",
        JULIA_1, "backward/1/blocks.1.lnxff", r"deviation",
        Edit("sharnn_py.layers:LayerNorm.forward", "(x.shape[-1] - 1)).sqrt()", "(x.shape[-1] - 1)).sqrt().detach()"),
    ),
]  # fmt: skip
