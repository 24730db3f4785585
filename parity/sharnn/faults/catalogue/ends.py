"""Faults at the model's two ends: the embedding, the decoder, the loss."""

from __future__ import annotations

from parity.sharnn.faults.catalogue.source import in_model
from parity.sharnn.faults.fault import JULIA_1, JULIA_HEADS, PAPER_1, PAPER_2, Fault
from parity.sharnn.faults.plant import Edit


def _embedding(new: str) -> Edit:
    return in_model("self.encoder(tokens)", new)


def _untied(new: str) -> Edit:
    return in_model("else self.decoder(h)", f"else {new}")


def _decoder(new: str) -> Edit:
    return Edit("sharnn_py.model:TiedDecoder.forward", "F.linear(h, embedding, self.bias)", new)


def _loss(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:nll", old, new)


FAULTS = [
    Fault("ids-read-one-too-high", "embedding", "ids from 0 are taken for ids from 1",
          _embedding("self.encoder((tokens + 1) % self.config.vocab)"), JULIA_1, "eval/1/embed", r"id \+ 1",
          scenes={"julia": "row id + 1"}),
    Fault("batch-reversed", "embedding", "the last sequence of the batch comes first",
          _embedding("self.encoder(tokens.flip(1))"), JULIA_1, "eval/1/embed", r"revers.*batch",
          scenes={"julia": "reversed along the batch axis"}),
    Fault("time-reversed", "embedding", "the last step of the segment comes first",
          _embedding("self.encoder(tokens.flip(0))"), PAPER_2, "eval/1/encoder", r"revers.*time",
          scenes={"julia": "reversed along the time axis"}),
    Fault("ids-laid-out-batch-first", "embedding", "the ids' rows are taken for sequences, and read as steps",
          _embedding("self.encoder(tokens.mT.reshape(tokens.shape))"), PAPER_1, "eval/1/encoder", r"batch by batch",
          scenes={"julia": "batch by batch"}),
    Fault("embedding-scaled", "embedding", "embeddings are multiplied by the root of their width, as Transformers do",
          _embedding("self.encoder(tokens) * self.config.emb**0.5"), PAPER_1, "eval/1/encoder", r"sqrt\(8\)",
          scenes={"julia": "scales by sqrt(8)"}),
    Fault("embedding-in-float16", "embedding", "embeddings pass through half precision",
          _embedding("self.encoder(tokens).half().to(weight.dtype)"), JULIA_1, "eval/1/embed", r"\bfloat16",
          scenes={"julia": "float16"}),
    Fault("tied-decoder-without-its-bias", "decoder", "the tied decoder's bias is not added",
          _decoder("F.linear(h, embedding)"), PAPER_1, "eval/1/logits", r"bias",
          scenes={"paper, tied": "leaves the bias out"}),
    Fault("logits-scaled", "decoder", "logits are divided by the root of the width",
          _decoder("F.linear(h, embedding) / h.shape[-1] ** 0.5"), JULIA_1, "eval/1/logits", r"sqrt\(8\)"),
    Fault("logits-in-bfloat16", "decoder", "the decoder's operands and logits are bfloat16",
          _decoder("F.linear(h.bfloat16(), embedding.bfloat16()).to(h.dtype)"), JULIA_1, "eval/1/logits", r"bfloat16"),
    Fault("untied-decoder-uses-the-embedding", "decoder", "an untied decoder multiplies by the embedding's weight",
          _untied("F.linear(h, weight, self.decoder.bias)"), JULIA_HEADS, "eval/1/logits", r"encoder",
          scenes={"julia": "takes param/encoder.weight"}),
    Fault("loss-summed", "loss", "the loss is summed over tokens, not averaged",
          _loss("ignore_index=-1", "ignore_index=-1, reduction='sum'"), PAPER_1, "eval/1/loss", r"\bsum\b",
          scenes={"julia": "takes the sum over the targets"}),
    Fault("loss-in-bits", "loss", "the loss is in bits, not in nats",
          _loss("ignore_index=-1)", "ignore_index=-1) / 0.6931471805599453"), JULIA_1, "eval/1/loss", r"base 2",
          scenes={"julia": "base 2"}),
    Fault("id-0-not-scored", "loss", "id 0 is left out of the loss, as Julia leaves out its label 0",
          _loss("ignore_index=-1", "ignore_index=0"), JULIA_1, "eval/1/loss", r"target 0",
          scenes={"julia": "leaves target 0 out"}),
    Fault("targets-one-step-late", "loss", "each step is scored against the target of the step before",
          _loss("targets.flatten()", "targets.roll(1, 0).flatten()"), PAPER_1, "eval/1/loss", r"targets.*step",
          scenes={"julia": "one step earlier"}),
    Fault("ids-read-one-too-low", "embedding", "every id is read as the one before it",
          _embedding("self.encoder((tokens - 1).clamp(min=0))"), scenes={"julia": "row id - 1"}),
    Fault("id-0-embedded-as-zeros", "embedding", "", _embedding("self.encoder(tokens) * (tokens != 0)[..., None]"),
          scenes={"julia": "zeros for id 0"}),
    Fault("embedding-of-length-1", "embedding", "every embedding is scaled to length 1",
          _embedding("F.normalize(self.encoder(tokens), dim=-1)"), scenes={"julia": "norm 1"}),
    Fault("ids-one-step-late", "embedding", "each step is given the id of the step before",
          _embedding("self.encoder(tokens.roll(1, 0))"), scenes={"julia": "shifted by 1 row later in the time axis"}),
    Fault("untied-logits-scaled", "decoder", "logits of an untied decoder are divided by the root of the width",
          _untied("self.decoder(h) / 8**0.5"), scenes={"julia": "1 / sqrt(8)"}),
    Fault("untied-logits-in-bfloat16", "decoder", "", _untied("self.decoder(h).bfloat16().double()"),
          scenes={"julia": "bfloat16"}),
    Fault("output-scaled", "decoder", "the decoder's input is scaled by 0.9, as a dropout of 0.1 would on average",
          in_model("self.dropout_output(h)", "0.9 * self.dropout_output(h)"), scenes={"julia": "as for a dropout"}),
    Fault("targets-read-one-too-high", "loss", "", _loss("targets.flatten()", "((targets + 1) % 13).flatten()"),
          scenes={"julia": "target + 1"}),
    Fault("loss-averaged-over-the-batch-alone", "loss", "the loss is summed over the steps",
          _loss("return ", "return len(targets) * "), scenes={"julia": "the mean over the batch alone"}),
    Fault("loss-without-its-minus", "loss", "", _loss("return ", "return -"), scenes={"julia": "without the minus"}),
    Fault("labels-smoothed", "loss", "", _loss("ignore_index=-1", "ignore_index=-1, label_smoothing=0.1"),
          scenes={"julia": "smooths the labels"}),
]  # fmt: skip
