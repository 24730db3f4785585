"""Faults at the model's two ends: the embedding, the decoder, the loss."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_HEADS, PAPER_1, PAPER_2, Mutant
from parity.sharnn.faults.plant import Edit


def _embedding(new: str) -> Edit:
    return Edit("sharnn_py.model:SHARNN.forward", "self.encoder(tokens)", new)


def _decoder(new: str) -> Edit:
    return Edit("sharnn_py.model:TiedDecoder.forward", "F.linear(h, embedding, self.bias)", new)


def _loss(old: str, new: str) -> Edit:
    return Edit("sharnn_py.model:nll", old, new)


MUTANTS = [
    Mutant(
        "ids-read-one-too-high", "embedding", "ids from 0 are taken for ids from 1",
        JULIA_1, "eval/1/embed", r"id \+ 1", _embedding("self.encoder((tokens + 1) % self.config.vocab)"),
    ),
    Mutant(
        "batch-reversed", "embedding", "the last sequence of the batch comes first",
        JULIA_1, "eval/1/embed", r"revers.*batch", _embedding("self.encoder(tokens.flip(1))"),
    ),
    Mutant(
        "time-reversed", "embedding", "the last step of the segment comes first",
        PAPER_2, "eval/1/encoder", r"revers.*time", _embedding("self.encoder(tokens.flip(0))"),
    ),
    Mutant(
        "ids-laid-out-batch-first", "embedding", "the ids' rows are taken for sequences, and read as steps",
        PAPER_1, "eval/1/encoder", r"batch by batch", _embedding("self.encoder(tokens.mT.reshape(tokens.shape))"),
    ),
    Mutant(
        "embedding-scaled", "embedding", "embeddings are multiplied by the root of their width, as Transformers do",
        PAPER_1, "eval/1/encoder", r"sqrt\(8\)", _embedding("self.encoder(tokens) * self.config.emb**0.5"),
    ),
    Mutant(
        "embedding-in-float16", "embedding", "embeddings pass through half precision",
        JULIA_1, "eval/1/embed", r"\bfloat16", _embedding("self.encoder(tokens).half().to(weight.dtype)"),
    ),
    Mutant(
        "tied-decoder-without-its-bias", "decoder", "the tied decoder's bias is not added",
        PAPER_1, "eval/1/logits", r"bias", _decoder("F.linear(h, embedding)"),
    ),
    Mutant(
        "logits-scaled", "decoder", "logits are divided by the root of the width",
        JULIA_1, "eval/1/logits", r"sqrt\(8\)", _decoder("F.linear(h, embedding) / h.shape[-1] ** 0.5"),
    ),
    Mutant(
        "logits-in-bfloat16", "decoder", "the decoder's operands and logits are bfloat16",
        JULIA_1, "eval/1/logits", r"bfloat16", _decoder("F.linear(h.bfloat16(), embedding.bfloat16()).to(h.dtype)"),
    ),
    Mutant(
        "untied-decoder-uses-the-embedding", "decoder", "an untied decoder multiplies by the embedding's weight",
        JULIA_HEADS, "eval/1/logits", r"encoder",
        Edit(
            "sharnn_py.model:SHARNN.forward",
            "else self.decoder(h)", "else F.linear(h, weight, self.decoder.bias)",
        ),
    ),
    Mutant(
        "loss-summed", "loss", "the loss is summed over tokens, not averaged",
        PAPER_1, "eval/1/loss", r"\bsum\b", _loss("ignore_index=-1", "ignore_index=-1, reduction='sum'"),
    ),
    Mutant(
        "loss-in-bits", "loss", "the loss is in bits, not in nats",
        JULIA_1, "eval/1/loss", r"base 2", _loss("ignore_index=-1)", "ignore_index=-1) / 0.6931471805599453"),
    ),
    Mutant(
        "id-0-not-scored", "loss", "id 0 is left out of the loss, as Julia leaves out its label 0",
        JULIA_1, "eval/1/loss", r"target 0", _loss("ignore_index=-1", "ignore_index=0"),
    ),
    Mutant(
        "targets-one-step-late", "loss", "each step is scored against the target of the step before",
        PAPER_1, "eval/1/loss", r"targets.*step", _loss("targets.flatten()", "targets.roll(1, 0).flatten()"),
    ),
]  # fmt: skip
