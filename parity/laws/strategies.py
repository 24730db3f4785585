"""What a law is tried on, drawn by Hypothesis: configs, parameters, segments of ids, states. Small ones fail first."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from parity.laws.backend import Array, Layers
from sharnn_py.config import PRESETS, Config, Program
from sharnn_py.weights.shapes import parameter_shapes

VOCAB = 7
"""Ids are drawn from 0 to VOCAB - 1."""


@dataclass(frozen=True)
class Spec:
    """A model: its config, and the number its parameters are drawn from."""

    config: Config
    seed: int

    def parameters(self) -> dict[str, Array]:
        """float32, under `SHARNN.state_dict`'s names, none at a value that would hide a fault (0, 1, all equal)."""
        draw = np.random.default_rng(self.seed)
        return {
            name: (1.0 * name.endswith(NORM_WEIGHTS) + 0.5 * draw.standard_normal(shape)).astype(np.float32)
            for name, shape in parameter_shapes(self.config).items()
        }

    def changed(self, **changes: Any) -> Spec:
        """The same model with some of its config changed."""
        return Spec(dataclasses.replace(self.config, **changes), self.seed)


NORM_WEIGHTS = tuple(f"{norm}.weight" for norm in ("lnstart", "lnmem", "lnmid", "lnff", "lnxff", "qln"))


@st.composite
def configs(draw: st.DrawFn, semantics: Program, *, any_attention: bool = True) -> Config:
    """Configs of SHA-RNN, the smallest first.

    They differ in heads, tied or not, a memory of 1 to 6 rows, attention in any blocks and values
    collapsed or not; without `any_attention`, attention where both programs have it, values as they are."""
    heads = draw(st.sampled_from([1, 2, 3]))
    emb = max(4, heads * draw(st.sampled_from([2, 4])))  # of 2 numbers a LayerNorm keeps only the order
    layers = draw(st.integers(1, 3))
    attention = None
    if any_attention:
        attention = tuple(i for i in range(layers) if draw(st.booleans()))
    collapsed = any_attention and draw(st.booleans())
    return Config(
        vocab=VOCAB,
        emb=emb,
        hidden=emb * draw(st.integers(1, 2)),
        layers=layers,
        heads=heads,
        max_memory=draw(st.integers(1, 6)),
        tied=draw(st.booleans()),
        attention_layers=attention,
        collapsed_values=collapsed,
        semantics=PRESETS[semantics],
    )


def parameters() -> st.SearchStrategy[int]:
    """Seeds for `Spec.parameters`. Few, so that what is slow to make of them is made once."""
    return st.integers(0, 2)


def specs(semantics: Program, *, any_attention: bool = True) -> st.SearchStrategy[Spec]:
    """Models of these semantics: a small config with parameters."""
    return st.builds(Spec, configs(semantics, any_attention=any_attention), parameters())


@st.composite
def token_segments(draw: st.DrawFn, batch: int, *, most: int = 4, steps: int = 8) -> list[NDArray[np.int64]]:
    """One to `most` segments of ids (T, B), of up to `steps` steps each."""
    lengths = draw(st.lists(st.integers(1, steps), min_size=1, max_size=most))
    return [draw(tokens(length, batch)) for length in lengths]


def tokens(steps: int, batch: int) -> st.SearchStrategy[NDArray[np.int64]]:
    """Token ids, int64 (T, B), for T = `steps` and B = `batch`."""
    ids = st.lists(st.integers(0, VOCAB - 1), min_size=steps * batch, max_size=steps * batch)
    return ids.map(lambda drawn: np.array(drawn, np.int64).reshape(steps, batch))


@st.composite
def states(draw: st.DrawFn, config: Config, batch: int, rows: int | None = None) -> Layers:
    """Any state that a model could be in, and others: numbers as a LayerNorm leaves them, 0 to N memory rows."""
    rows = draw(st.integers(0, config.max_memory)) if rows is None else rows
    numbers, H = np.random.default_rng(draw(st.integers(0, 2**16))), config.emb
    return [
        (
            numbers.uniform(-0.9, 0.9, (batch, H)).astype(np.float32),
            numbers.standard_normal((batch, H)).astype(np.float32),
            numbers.standard_normal((rows if config.attends(i) else 0, batch, H)).astype(np.float32),
        )
        for i in range(config.layers)
    ]
