"""The golden vector of an export: twenty tokens of two sequences, and what the model computes on them.

A client in another language feeds these tokens and compares. They are fed in parts: a segment, steps, and a segment
again, so that the memory becomes a ring and the ring a memory. The numbers are those of the PyTorch model in float64,
and how far from them a client may be is measured by `export.replicas`, as for recordings (docs/tolerance.md).
"""

import itertools
import json
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from parity.tolerance import ROUNDING_RUNS, UNIT, allowed
from sharnn_py.memory import most_keys_of_a_step
from sharnn_py.model import SHARNN
from sharnn_py.state import State
from sharnn_py.state_file import name_tensors

FORMAT = "sharnn golden 1"
TOKENS, BATCH = 20, 2
IDS = 128
"""The most ids whose logits are listed; of a larger vocabulary as many, evenly spread."""
Found = tuple[NDArray[np.float64], list[dict[str, NDArray[np.float64]]]]
"""Logits (tokens, B, ids), and after each part the norm of every state tensor of each sequence, (B,)."""


def golden(models: Iterator[SHARNN], dtype: torch.dtype, capacity: int) -> str:
    """The text of `golden.json` for an export in `dtype`, whose ring has up to `capacity` slots.

    `models` are those of `export.replicas.truth_and_replicas`.
    """
    model = next(models)
    config = model.config
    draw = np.random.default_rng(0)
    parts = [(graph, draw.integers(config.vocab, size=(steps, BATCH))) for graph, steps in _parts(model, capacity)]
    ids = np.unique(np.linspace(0, config.vocab - 1, min(config.vocab, IDS)).round().astype(np.int64))
    logits, norms = _computed(model, parts, ids)
    off, off_norms, unit = 0.0, 0.0, UNIT[dtype]
    for replica in itertools.islice(models, ROUNDING_RUNS):
        near, near_norms = _computed(replica, parts, ids)
        off = max(off, float(np.abs(near - logits).max()))
        off_norms = max(off_norms, *(abs(a - b) for a, b in zip(_flat(near_norms), _flat(norms), strict=True)))
    vector = {
        "format": FORMAT,
        "batch": BATCH,
        "parts": [
            {"graph": graph, "tokens": tokens.tolist(), "norms": {name: _short(n) for name, n in after.items()}}
            for (graph, tokens), after in zip(parts, norms, strict=True)
        ],
        "ids": ids.tolist(),
        "logits": [[_short(row) for row in step] for step in logits],
        "tolerance": {
            "logits": allowed(off, float(np.abs(logits).max()), unit),
            "norms": allowed(off_norms, max(_flat(norms)), unit),
        },
    }
    return json.dumps(vector) + "\n"


def _parts(model: SHARNN, capacity: int) -> list[tuple[str, int]]:
    """The parts by graph and number of steps, as many steps one by one as a ring of `capacity` slots has room for."""
    prompt, steps = 5, 9
    if capacity < most_keys_of_a_step(model.config):
        prompt = min(prompt, capacity - 1)
        steps = min(steps, capacity - prompt)
    parts = [("segment", prompt), ("step", steps), ("segment", TOKENS - prompt - steps)]
    return [(graph, count) for graph, count in parts if count]


def _computed(model: SHARNN, parts: Sequence[tuple[str, NDArray[np.int64]]], ids: NDArray[np.int64]) -> Found:
    state: State | None = None
    logits, norms = [], []
    for graph, tokens in parts:
        for segment in tokens[:, None] if graph == "step" else tokens[None]:
            with torch.inference_mode():
                found, state = model(torch.from_numpy(segment), state)
            logits.append(found.double().numpy()[..., ids])
        assert state is not None
        tensors = name_tensors((layer.h, layer.c, layer.memory) for layer in state.layers)
        norms.append({name: _norms(tensor.double().numpy()) for name, tensor in tensors.items() if tensor.numel()})
    return np.concatenate(logits), norms


def _norms(tensor: NDArray[np.float64]) -> NDArray[np.float64]:
    """The root of the sum of squares of each sequence's numbers, (B,), of h or c (B, H) or a memory (M, B, H)."""
    squares: NDArray[np.float64] = np.square(tensor).sum(axis=-1)
    norms: NDArray[np.float64] = np.sqrt(squares.sum(axis=0) if squares.ndim > 1 else squares)
    return norms


def _flat(norms: Sequence[dict[str, NDArray[np.float64]]]) -> list[float]:
    return [float(norm) for after in norms for each in after.values() for norm in each]


def _short(numbers: NDArray[np.float64]) -> list[float]:
    """Nine significant digits, which is more than float32 has."""
    return [float(f"{x:.9g}") for x in numbers]
