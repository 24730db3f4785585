"""Faults of what attention is made from: gains, queries, keys, values, and their heads."""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_2, JULIA_HEADS, PAPER_2, Mutant
from parity.sharnn.faults.plant import Edit

JULIA_ATTENTION, PAPER_ATTENTION = "eval/1/blocks.1.attn", "eval/1/blocks.0.attn"


def _attention(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:Attention.forward", old, new)


def _gain(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:Attention.value_gain", old, new)


def _split(new: str) -> Edit:
    old = "x.reshape(steps, batch, self.heads, width // self.heads).permute(1, 2, 0, 3)"
    return Edit("sharnn_py.layers:Attention.split", old, new)


MUTANTS = [
    Mutant(
        "query-gain-without-sigmoid", "gains", "the queries' gain is the parameter itself",
        JULIA_2, f"{JULIA_ATTENTION}.sig_qs", r"no function|sigmoid", _attention("torch.sigmoid(self.qs)", "self.qs"),
    ),
    Mutant(
        "key-gain-by-tanh", "gains", "the keys' gain goes through tanh",
        JULIA_2, f"{JULIA_ATTENTION}.sig_ks", r"tanh", _attention("torch.sigmoid(self.ks)", "torch.tanh(self.ks)"),
    ),
    Mutant(
        "value-gain-sigmoid-left-out", "gains", "vs enters the overparametrised gain without its sigmoid",
        PAPER_2, f"{PAPER_ATTENTION}.vq.l1", r"no function|sigmoid", _gain("torch.sigmoid(self.vs)", "self.vs"),
    ),
    Mutant(
        "value-gain-halves-exchanged", "gains", "the gate's half and the content's half are taken for each other",
        JULIA_2, f"{JULIA_ATTENTION}.overparam_vs", r"halves", _gain("c, f =", "f, c ="),
    ),
    Mutant(
        "value-gain-without-tanh", "gains", "the content's half does not go through tanh",
        PAPER_2, f"{PAPER_ATTENTION}.vq", r"tanh", _gain("torch.tanh(c)", "c"),
    ),
    Mutant(
        "value-gain-without-bias", "gains", "the overparametrised gain's bias is not added",
        PAPER_2, f"{PAPER_ATTENTION}.vq.l1", r"bias", _gain("self.overparam(gate)", "self.overparam.weight @ gate"),
    ),
    Mutant(
        "value-gain-computed-in-float16", "gains", "the gain passes through half precision",
        JULIA_2, f"{JULIA_ATTENTION}.overparam_vs", r"\bfloat16",
        _gain("torch.sigmoid(f) * torch.tanh(c)", "(torch.sigmoid(f) * torch.tanh(c)).half().to(f.dtype)"),
    ),
    Mutant(
        "query-matrix-transposed", "queries", "the queries' matrix is used transposed",
        PAPER_2, f"{PAPER_ATTENTION}.q", r"transpos",
        _attention("self.q(h)", "F.linear(h, self.q.weight.mT, self.q.bias)"),
    ),
    Mutant(
        "query-without-bias", "queries", "the queries' bias is not added",
        JULIA_2, f"{JULIA_ATTENTION}.q_linear", r"bias", _attention("self.q(h)", "F.linear(h, self.q.weight)"),
    ),
    Mutant(
        "query-of-the-keys-rows", "queries", "queries are made from the rows that keys are made from",
        JULIA_2, f"{JULIA_ATTENTION}.q_linear", r"lnmem", _attention("self.q(h)", "self.q(keys[-len(h) :])"),
    ),
    Mutant(
        "query-not-normed", "queries", "the queries' norm is left out",
        PAPER_2, f"{PAPER_ATTENTION}.qln", r"leaves this step out|normalise",
        _attention('note("q_ln", self.qln(q))', 'note("q_ln", q)'),
    ),
    Mutant(
        "query-without-its-gain", "queries", "queries are not multiplied by their gain",
        JULIA_2, f"{JULIA_ATTENTION}.q", r"qs out", _attention("qs * q)", "q)"),
    ),
    Mutant(
        "keys-with-the-queries-gain", "keys and values", "keys are multiplied by the queries' gain",
        JULIA_2, f"{JULIA_ATTENTION}.k", r"takes .*qs;", _attention("ks * keys", "qs * keys"),
    ),
    Mutant(
        "keys-gained-twice", "keys and values", "keys are multiplied by their gain twice",
        JULIA_HEADS, f"{JULIA_ATTENTION}.k", r"twice", _attention("ks * keys", "ks * ks * keys"),
    ),
    Mutant(
        "values-without-their-gain", "keys and values", "values are not multiplied by their gain",
        JULIA_2, f"{JULIA_ATTENTION}.v", r"overparam out", _attention("gain * keys", "keys"),
    ),
    Mutant(
        "values-are-the-keys", "keys and values", "values are the gained keys",
        PAPER_2, f"{PAPER_ATTENTION}.mix", r"takes .*(ks|attn\.k);",
        _attention('note("v", gain * keys)', 'note("v", ks * keys)'),
    ),
    Mutant(
        "heads-interleaved", "heads", "head a owns features a, a + A, a + 2A and so on",
        JULIA_HEADS, f"{JULIA_ATTENTION}.qk", r"interleav",
        _split("x.reshape(steps, batch, width // self.heads, self.heads).permute(1, 3, 0, 2)"),
    ),
    Mutant(
        "heads-split-as-the-numbers-lie", "heads", "(T, B, H) is reshaped to (B, A, T, d) without moving any number",
        JULIA_HEADS, f"{JULIA_ATTENTION}.qk", r"without moving axes",
        _split("x.reshape(batch, self.heads, steps, width // self.heads)"),
    ),
    Mutant(
        "heads-merged-interleaved", "heads", "the heads' features are interleaved where they are merged",
        JULIA_HEADS, f"{JULIA_ATTENTION}.mix", r"interleav",
        _attention("mix.permute(2, 0, 1, 3)", "mix.permute(2, 0, 3, 1)"),
    ),
    Mutant(
        "heads-merged-batch-first", "heads",
        "the merged heads are laid out batch first, and read as if time came first",
        JULIA_HEADS, f"{JULIA_ATTENTION}.mix", r"batch before time",
        _attention("mix.permute(2, 0, 1, 3).flatten(-2)", "mix.transpose(1, 2).reshape(h.shape)"),
    ),
]  # fmt: skip
