"""Faults of gradients alone: every output is right, and what flows back is not."""

from __future__ import annotations

from parity.sharnn.faults.catalogue.source import attention, in_block, in_model
from parity.sharnn.faults.fault import JULIA_1, JULIA_2, PAPER_1, PAPER_2, PAPER_INSIDE, Fault
from parity.sharnn.faults.plant import Edit

PLACE = "gradients"
GRAPH = r"not detach"
"""What is said of a state that still hangs on its graph."""


# Where autograd and the forward pass part, at `backward/<segment>/<tensor>`, from the loss to the segment's beginning:
# so of several norms the last is first, and of the LSTM's outputs, rnn, h and c, it is c.
FAULTS = [
    Fault("h-not-detached", PLACE, "gradients go back through h into the segment before",
          in_block("h_n.detach()", "h_n"), JULIA_1, "carry/1/blocks.1.h", GRAPH,
          laws={"torch": "gradients_stop_at_the_border_of_a_segment"}),
    Fault("c-not-detached", PLACE, "gradients go back through c into the segment before",
          in_block("c_n.detach()", "c_n"), PAPER_1, "carry/1/blocks.0.c", GRAPH),
    Fault("memory-not-detached", PLACE, "gradients go back through the memory into the segment before",
          in_block("memory.detach()", "memory"), JULIA_2, "carry/1/blocks.1.memory", GRAPH,
          laws={"torch": "gradients_stop_at_the_border_of_a_segment"}),
    Fault("keys-detached", PLACE, "nothing flows back through keys and values",
          in_block("torch.cat([memory, new])", "torch.cat([memory, new.detach()])"),
          JULIA_2, "backward/1/blocks.1.bigh", r"detached"),
    Fault("queries-detached", PLACE, "nothing flows back through the queries",
          attention("self.q(h)", "self.q(h.detach())"), PAPER_2, "backward/1/blocks.0.attn.q", r"detached"),
    Fault("weights-of-attention-detached", PLACE, "nothing flows back through the attention's weights",
          attention("self.dropout(focus) @ v", "focus.detach() @ v"),
          JULIA_2, "backward/1/blocks.1.attn.mix_heads", r"detached"),
    Fault("query-gain-detached", PLACE, "the queries' gain does not learn", attention("qs * q)", "qs.detach() * q)"),
          JULIA_2, "backward/1/blocks.1.attn.q", r"detached"),
    Fault("value-gain-detached", PLACE, "the overparametrised gain does not learn",
          attention("self.value_gain(note)", "self.value_gain(note).detach()"),
          JULIA_2, "backward/1/blocks.1.attn.v", r"detached"),
    Fault("residual-detached", PLACE, "nothing flows back through lnff",
          in_block("residual + self", "residual.detach() + self"), JULIA_1, "backward/1/blocks.1.out", r"detached"),
    Fault("lstm-input-detached", PLACE, "nothing flows back through the LSTM's input",
          in_block("self.rnn(h,", "self.rnn(h.detach(),"), PAPER_1, "backward/1/blocks.0.rnn.c", r"detached"),
    Fault("decoders-share-of-a-tied-weight-cut", PLACE, "a tied weight learns as an embedding alone",
          in_model("self.decoder(h, weight)", "self.decoder(h, weight.detach())"),
          JULIA_1, "backward/1/logits", r"encoder\.weight.*detached"),
    Fault("id-0-does-not-learn", PLACE, "id 0 is taken for padding, whose embedding has no gradient",
          in_model("self.encoder(tokens)", "F.embedding(tokens, weight, 0)"),
          PAPER_1, "backward/1/encoder", r"id 0|padding|row 0"),
    Fault("booms-gradient-halved", PLACE, "half as much as should flows back through the Boom",
          in_block("self.dropout(self.boom(x, note))", "0.5 * (b := self.boom(x, note)) + 0.5 * b.detach()"),
          JULIA_1, "backward/1/blocks.1.out", r"\b0\.5 times"),
    Fault("gelus-gradient-halved", PLACE,
          "half as much as should flows back through gelu; gradients inside are recorded",
          Edit("sharnn_py.layers:Boom.forward", "gelu(x))", "0.5 * gelu(x) + 0.5 * gelu(x).detach())"),
          PAPER_INSIDE, "backward/1/blocks.1.ff.act", r"\b0\.5 times"),
    Fault("deviation-of-a-norm-detached", PLACE, "norms let gradients through as if their deviation were constant",
          Edit("sharnn_py.layers:LayerNorm.forward", "(x.shape[-1] - 1)).sqrt()", "(x.shape[-1] - 1)).sqrt().detach()"),
          JULIA_1, "backward/1/blocks.1.lnxff", r"deviation"),
]  # fmt: skip
