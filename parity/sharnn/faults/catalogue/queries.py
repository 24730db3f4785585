"""Faults of what attention is made from: gains, queries, keys, values, and their heads."""

from __future__ import annotations

from parity.sharnn.faults.catalogue.source import attention
from parity.sharnn.faults.fault import JULIA_2, JULIA_HEADS, PAPER_2, Fault
from parity.sharnn.faults.plant import Edit

JULIA_ATTENTION, PAPER_ATTENTION = "eval/1/blocks.1.attn", "eval/1/blocks.0.attn"


def _gain(old: str, new: str) -> Edit:
    return Edit("sharnn_py.layers:Attention.value_gain", old, new)


def _split(new: str) -> Edit:
    old = "x.reshape(steps, batch, self.heads, width // self.heads).permute(1, 2, 0, 3)"
    return Edit("sharnn_py.layers:Attention.split", old, new)


FAULTS = [
    Fault("query-gain-without-sigmoid", "gains", "the queries' gain is the parameter itself",
          attention("torch.sigmoid(self.qs)", "self.qs"), JULIA_2, f"{JULIA_ATTENTION}.sig_qs", r"no function|sigmoid",
          scenes={"julia": "no function at all; the reference the sigmoid", "smerity": "no function at all"}),
    Fault("key-gain-by-tanh", "gains", "the keys' gain goes through tanh",
          attention("torch.sigmoid(self.ks)", "torch.tanh(self.ks)"), JULIA_2, f"{JULIA_ATTENTION}.sig_ks", r"tanh",
          scenes={"julia": "applies tanh"}),
    Fault("value-gain-sigmoid-left-out", "gains", "vs enters the overparametrised gain without its sigmoid",
          _gain("torch.sigmoid(self.vs)", "self.vs"), PAPER_2, f"{PAPER_ATTENTION}.vq.l1", r"no function|sigmoid",
          scenes={"smerity": "no function at all"}),
    Fault("value-gain-halves-exchanged", "gains", "the gate's half and the content's half are taken for each other",
          _gain("c, f =", "f, c ="), JULIA_2, f"{JULIA_ATTENTION}.overparam_vs", r"halves",
          scenes={"julia": "halves in the order f, c; the reference c, f"}),
    Fault("value-gain-without-tanh", "gains", "the content's half does not go through tanh",
          _gain("torch.tanh(c)", "c"), PAPER_2, f"{PAPER_ATTENTION}.vq", r"tanh",
          scenes={"julia": "applies no function at all to c"}),
    Fault("value-gain-without-bias", "gains", "the overparametrised gain's bias is not added",
          _gain("self.overparam(gate)", "self.overparam.weight @ gate"), PAPER_2, f"{PAPER_ATTENTION}.vq.l1", r"bias",
          scenes={"julia": "leaves the bias out"}),
    Fault("value-gain-computed-in-float16", "gains", "the gain passes through half precision",
          _gain("torch.sigmoid(f) * torch.tanh(c)", "(torch.sigmoid(f) * torch.tanh(c)).half().to(f.dtype)"),
          JULIA_2, f"{JULIA_ATTENTION}.overparam_vs", r"\bfloat16"),
    Fault("query-matrix-transposed", "queries", "the queries' matrix is used transposed",
          attention("self.q(h)", "F.linear(h, self.q.weight.mT, self.q.bias)"),
          PAPER_2, f"{PAPER_ATTENTION}.q", r"transpos", scenes={"julia": "transposes the weight"}),
    Fault("query-without-bias", "queries", "the queries' bias is not added",
          attention("self.q(h)", "F.linear(h, self.q.weight)"), JULIA_2, f"{JULIA_ATTENTION}.q_linear", r"bias",
          scenes={"julia": "leaves the bias out"}),
    Fault("query-of-the-keys-rows", "queries", "queries are made from the rows that keys are made from",
          attention("self.q(h)", "self.q(keys[-len(h) :])"), JULIA_2, f"{JULIA_ATTENTION}.q_linear", r"lnmem",
          scenes={"julia": "takes blocks.1.lnmem; the reference takes blocks.1.lnmid"}),
    Fault("query-not-normed", "queries", "the queries' norm is left out",
          attention('note("q_ln", self.qln(q))', 'note("q_ln", q)'),
          PAPER_2, f"{PAPER_ATTENTION}.qln", r"leaves this step out|normalise",
          scenes={"julia": "leaves this step out"}),
    Fault("query-without-its-gain", "queries", "queries are not multiplied by their gain", attention("qs * q)", "q)"),
          JULIA_2, f"{JULIA_ATTENTION}.q", r"qs out", scenes={"julia": "leaves blocks.1.attn.qs out"}),
    Fault("keys-with-the-queries-gain", "keys and values", "keys are multiplied by the queries' gain",
          attention("ks * keys", "qs * keys"), JULIA_2, f"{JULIA_ATTENTION}.k", r"takes .*qs;",
          scenes={"julia": "takes blocks.1.attn.qs; the reference takes blocks.1.attn.ks"}),
    Fault("keys-gained-twice", "keys and values", "keys are multiplied by their gain twice",
          attention("ks * keys", "ks * ks * keys"), JULIA_HEADS, f"{JULIA_ATTENTION}.k", r"twice"),
    Fault("values-without-their-gain", "keys and values", "values are not multiplied by their gain",
          attention("gain * keys", "keys"), JULIA_2, f"{JULIA_ATTENTION}.v", r"overparam out",
          scenes={"smerity": "leaves blocks.1.attn.overparam out"}),
    Fault("values-are-the-keys", "keys and values", "values are the gained keys",
          attention('note("v", gain * keys)', 'note("v", ks * keys)'),
          PAPER_2, f"{PAPER_ATTENTION}.mix", r"takes .*(ks|attn\.k);", scenes={"smerity": "attn"}),
    Fault("heads-interleaved", "heads", "head a owns features a, a + A, a + 2A and so on",
          _split("x.reshape(steps, batch, width // self.heads, self.heads).permute(1, 3, 0, 2)"),
          JULIA_HEADS, f"{JULIA_ATTENTION}.qk", r"interleav", scenes={"julia": "interleaved"}),
    Fault("heads-split-as-the-numbers-lie", "heads", "(T, B, H) is reshaped to (B, A, T, d) without moving any number",
          _split("x.reshape(batch, self.heads, steps, width // self.heads)"),
          JULIA_HEADS, f"{JULIA_ATTENTION}.qk", r"without moving axes", scenes={"julia": "without moving axes"}),
    Fault("heads-merged-interleaved", "heads", "the heads' features are interleaved where they are merged",
          attention("mix.permute(2, 0, 1, 3)", "mix.permute(2, 0, 3, 1)"),
          JULIA_HEADS, f"{JULIA_ATTENTION}.mix", r"interleav", scenes={"julia": "interleaves the heads' features"}),
    Fault("heads-merged-batch-first", "heads",
          "the merged heads are laid out batch first, and read as if time came first",
          attention("mix.permute(2, 0, 1, 3).flatten(-2)", "mix.transpose(1, 2).reshape(h.shape)"),
          JULIA_HEADS, f"{JULIA_ATTENTION}.mix", r"batch before time"),
    Fault("key-gain-plus-1", "gains", "keys are multiplied by one plus their gain",
          attention("ks * keys", "(1 + ks) * keys"), scenes={"julia": "multiplies by 1 + blocks.1.attn.ks"}),
    Fault("value-gain-squashed-again", "gains", "the values' gain goes through a sigmoid once more",
          attention("gain * keys", "gain.sigmoid() * keys"), scenes={"julia": "a sigmoid too many"}),
    Fault("value-gain-without-its-gate", "gains", "the values' gain is the content's half alone",
          _gain("torch.sigmoid(f) * ", ""), scenes={"julia": "leaves the sigmoid factor out"}),
    Fault("value-gain-functions-exchanged", "gains", "the gate goes through tanh, the content through the sigmoid",
          _gain("torch.sigmoid(f) * torch.tanh(c)", "torch.tanh(f) * torch.sigmoid(c)"),
          scenes={"julia": "order f, c"}),
    Fault("query-bias-twice", "queries", "the queries' bias is added twice",
          attention("self.q(h)", "self.q(h) + self.q.bias"), scenes={"julia": "adds the bias twice"}),
    Fault("query-scaled", "queries", "queries are divided by the root of their width",
          attention("self.q(h)", "self.q(h) / h.shape[-1] ** 0.5"), scenes={"julia": "1 / sqrt(8)"}),
    Fault("heads-merged-as-the-numbers-lie", "heads", "(B, A, T, d) is reshaped to (T, B, H) without moving any number",
          attention("mix.permute(2, 0, 1, 3).flatten(-2)", "mix.reshape(h.shape)"),
          scenes={"julia": "without moving axes"}),
    Fault("one-step-of-keys-without-gain", "part", "the first key is not multiplied by its gain",
          attention("ks * keys", "torch.cat([keys[:1], ks * keys[1:]])"),
          scenes={"julia": "leaves blocks.1.attn.ks out, but only at 0"}),
]  # fmt: skip
