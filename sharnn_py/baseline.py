"""The baseline that SHA-RNN.jl comes with: an LSTM language model (`examples/baseline.jl`, `src/baseline.jl`).

    logits = projection(dropout(LSTM(embed(tokens), (h, c))))

Shapes: T steps, B batch, E = emb, H = hidden, V = vocab, L layers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sharnn_py.config import build, require_fractions, require_positive
from sharnn_py.errors import InputError
from sharnn_py.initialisation import initialise
from sharnn_py.model import check_tokens
from sharnn_py.trace import Note, passing


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Sizes and dropout rate of a `Baseline`. Raises `ConfigError` for sizes below 1 or a rate outside [0, 1)."""

    vocab: int
    """V, number of token ids."""
    emb: int
    """E, width of the embeddings."""
    hidden: int
    """H, width of the LSTM."""
    layers: int = 1
    """L, number of LSTM layers."""
    dropout: float = 0.0
    """Dropout rate between LSTM layers and before the projection."""

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "emb", "hidden", "layers")
        require_fractions(self, "dropout")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> BaselineConfig:
        """The config written by `to_json`. Raises `ConfigError` naming missing and unknown entries."""
        return build(cls, values, "config")


class Baseline(nn.Module):
    """The LSTM language model of SHA-RNN.jl's baseline, initialised as SHA-RNN.jl does it.

    Weights are drawn from `generator`, or else from torch's global generator.
    """

    def __init__(self, config: BaselineConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab, config.emb)
        between = config.dropout if config.layers > 1 else 0.0
        self.rnn = nn.LSTM(config.emb, config.hidden, num_layers=config.layers, dropout=between)
        self.projection = nn.Linear(config.hidden, config.vocab)
        self.dropout = nn.Dropout(config.dropout)
        initialise(self, "julia", config.emb, generator)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None = None, note: Note | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits (T, B, V) of the next token after each of `tokens` (T, B), and the state to continue from.

        The state is a detached (h, c), each (L, B, H); None begins new sequences. `note` is called with `embed`, `rnn`,
        `h`, `c` and `logits`; a tensor that it returns replaces the intermediate. Raises `InputError` for tokens or a
        state that do not fit.
        """
        check_tokens(tokens, self.config.vocab)
        shape = (self.config.layers, tokens.shape[1], self.config.hidden)
        if state is None:
            weight = self.embed.weight
            state = (weight.new_zeros(shape), weight.new_zeros(shape))
        for name, tensor in zip("hc", state, strict=True):
            if tuple(tensor.shape) != shape:
                raise InputError(f"the state's {name} has shape {tuple(tensor.shape)}, expected {shape}")
        note = passing(note)
        x = note("embed", self.embed(tokens))  # (T, B, E)
        x, (h, c) = self.rnn(x, state)  # (T, B, H), (L, B, H) twice
        x, h, c = note("rnn", x), note("h", h), note("c", c)
        logits = note("logits", self.projection(self.dropout(x)))  # (T, B, V)
        return logits, (h.detach(), c.detach())
