"""SHA-RNN in plain NumPy, from the equations: every back end's memory and carryover is compared with this model.

It shares no code with the model, its state or its export, and is meant to be read: one sequence at a time, one step at
a time, no masks and no batches, so that there is nothing to get wrong in them. docs/semantics.md has the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharnn_py.config import Config

Array = NDArray[Any]
EPS = 1e-12


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which does not overflow."""
    y: Array = (1 + np.tanh(x / 2)) / 2
    return y


class PlainSHARNN:
    """One sequence: h and c of every block, and for blocks that attend a memory, a list of rows, oldest first."""

    def __init__(self, config: Config, parameters: Mapping[str, Array], dtype: type[Any]) -> None:
        self.config, self.dtype = config, dtype
        self.p = {name: np.asarray(value, dtype) for name, value in parameters.items()}
        self.h = [np.zeros(config.emb, dtype) for _ in range(config.layers)]
        self.c = [np.zeros(config.emb, dtype) for _ in range(config.layers)]
        self.memory: list[list[Array]] = [[] for _ in range(config.layers)]

    def copy(self) -> PlainSHARNN:
        """A copy that continues from the same state."""
        other = object.__new__(PlainSHARNN)
        other.__dict__.update(self.__dict__)
        other.h, other.c, other.memory = list(self.h), list(self.c), [list(rows) for rows in self.memory]
        return other

    def feed(self, ids: Array) -> Array:
        """Feed one segment of T ids; return its logits (T, V)."""
        config, p = self.config, self.p
        dropped = [self._dropped(i, len(ids)) for i in range(config.layers)]
        x = [p["encoder.weight"][i] for i in ids]  # T rows of H
        for i in range(config.layers):
            x = [self._lstm(i, self._norm(f"blocks.{i}.lnstart", row)) for row in x]
            if config.attends(i):
                x = self._attend(i, x, dropped[i])
            x = [self._norm(f"blocks.{i}.lnff", row) + self._boom(i, row) for row in x]
        weight = p["encoder.weight"] if config.tied else p["decoder.weight"]
        logits = np.stack([weight @ row for row in x])
        return logits + p["decoder.bias"] if "decoder.bias" in p else logits

    def _dropped(self, i: int, T: int) -> int:
        """Row 4: how many of its oldest rows block i forgets before a segment of T steps."""
        N = self.config.max_memory
        if self.config.semantics.memory_cut == "paper":
            held = len(self.memory[i])
            kept = held if T == N else min(held, N - T) if T < N else max(0, held - (T - N))
            return held - kept
        first = len(self.memory[0]) if self.config.attends(0) else 1
        return max(0, first + T - N)

    def _lstm(self, i: int, x: Array) -> Array:
        W, R = (self.p[f"blocks.{i}.rnn.weight_{name}_l0"] for name in ("ih", "hh"))
        b = self.p[f"blocks.{i}.rnn.bias_ih_l0"] + self.p[f"blocks.{i}.rnn.bias_hh_l0"]
        entry, forget, new, output = np.split(W @ x + R @ self.h[i] + b, 4)
        self.c[i] = sigmoid(forget) * self.c[i] + sigmoid(entry) * np.tanh(new)
        self.h[i] = sigmoid(output) * np.tanh(self.c[i])
        return self.h[i]

    def _attend(self, i: int, x: list[Array], dropped: int) -> list[Array]:
        """Each step sees the rows before the segment that are left, the segment's rows before it, and its own."""
        config, p, name = self.config, self.p, f"blocks.{i}"
        d, T = config.emb // config.heads, len(x)
        old = self.memory[i][dropped:]
        keys = old + [self._norm(f"{name}.lnmem", row) for row in x]
        queries = [self._norm(f"{name}.lnmid", row) for row in x]
        scale = np.sqrt(T if config.semantics.attention_scale == "julia" else d).astype(self.dtype)
        mixed = []
        for t, row in enumerate(queries):
            q = self._norm(f"{name}.attn.qln", p[f"{name}.attn.q.weight"] @ row + p[f"{name}.attn.q.bias"])
            q = q * sigmoid(p[f"{name}.attn.qs"])
            seen = np.stack(keys[: len(old) + t + 1])  # (keys of this step, H)
            k, v = seen * sigmoid(p[f"{name}.attn.ks"]), seen * self._gain(i)
            heads = []
            for a in range(config.heads):
                own = slice(a * d, (a + 1) * d)
                scores = k[:, own] @ q[own] / scale
                weights = np.exp(scores - scores.max())
                heads.append(weights / weights.sum() @ v[:, own])
            mixed.append(row + np.concatenate(heads))
        self.memory[i] = keys[-config.max_memory :]
        return mixed

    def _gain(self, i: int) -> Array:
        name = f"blocks.{i}.attn"
        if self.config.collapsed_values:
            return self.p[f"{name}.vs"]
        both = self.p[f"{name}.overparam.weight"] @ sigmoid(self.p[f"{name}.vs"]) + self.p[f"{name}.overparam.bias"]
        c, f = np.split(both, 2)
        gain: Array = sigmoid(f) * np.tanh(c)
        return gain

    def _boom(self, i: int, row: Array) -> Array:
        H, name = self.config.emb, f"blocks.{i}"
        x = self._norm(f"{name}.lnxff", row)
        x = self.p[f"{name}.boom.linear.weight"] @ x + self.p[f"{name}.boom.linear.bias"]
        x = x * sigmoid(self.dtype(1.702) * x)
        chunks = x[: len(x) // H * H].reshape(-1, H)
        if self.config.semantics.boom == "julia":
            return np.concatenate([chunks.sum(1), np.zeros(H - len(chunks), self.dtype)])
        summed: Array = chunks.sum(0)
        return summed

    def _norm(self, name: str, x: Array) -> Array:
        centred, n = x - x.mean(), len(x)
        if self.config.semantics.layer_norm == "paper":
            normed = centred / np.sqrt((centred**2).mean() + self.dtype(EPS))
        else:
            normed = centred / (np.sqrt((centred**2).sum() / (n - 1)) + self.dtype(EPS))
        scaled: Array = self.p[f"{name}.weight"] * normed + self.p[f"{name}.bias"]
        return scaled
