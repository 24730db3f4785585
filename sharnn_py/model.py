"""SHA-RNN: LSTM blocks, one attention over a memory of layer-normed hidden states, a Boom feed-forward.

Paper: Merity, "Single Headed Attention RNN: Stop Thinking With Your Head", arXiv 1911.11423. Programs:
alisafaya/SHA-RNN.jl `src/model.jl`, Smerity/sha-rnn `model.py`; where they differ, see docs/semantics.md.

Shapes: T steps, B batch, H = emb, V = vocab, M memory rows, K = M + T keys.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharnn_py.config import Config
from sharnn_py.errors import InputError
from sharnn_py.initialisation import initialise
from sharnn_py.layers import Attention, Boom, LayerNorm, causal_mask, dropout
from sharnn_py.memory import rows_dropped
from sharnn_py.state import LayerState, State
from sharnn_py.trace import Note, Pass, passing, silent, within


class Block(nn.Module):
    """LSTM, then attention if this block attends, then Boom."""

    def __init__(self, config: Config, attends: bool) -> None:
        super().__init__()
        H, program = config.emb, config.semantics.layer_norm
        self.max_memory = config.max_memory
        self.lnstart = LayerNorm(H, program)
        self.rnn = nn.LSTM(H, H)
        self.lnmem = LayerNorm(H, program) if attends else None
        self.lnmid = LayerNorm(H, program) if attends else None
        self.attn = Attention(config) if attends else None
        self.lnff = LayerNorm(H, program)
        self.lnxff = LayerNorm(H, program)
        self.boom = Boom(config)
        self.dropout = dropout(config.dropout_hidden)

    def forward(self, h: Tensor, state: LayerState, note: Pass = silent) -> tuple[Tensor, LayerState]:
        h = note("in", h)
        h = note("lnstart", self.lnstart(h))  # (T, B, H)
        h, (h_n, c_n) = self.rnn(h, (state.h[None], state.c[None]))  # (T, B, H), (1, B, H) twice
        h = note("rnn", h)
        h_n, c_n = note("h", h_n[0]), note("c", c_n[0])  # (B, H) twice
        h = note("post_rnn", self.dropout(h))

        memory = state.memory
        if self.attn is not None and self.lnmem is not None and self.lnmid is not None:
            new = note("lnmem", self.lnmem(h))
            keys = note("keys", torch.cat([memory, new]))  # (K, B, H)
            memory = note("memory", keys[-self.max_memory :])
            mask = note("mask", causal_mask(state.memory.shape[0], h.shape[0], h))  # (T, K)
            h = note("lnmid", self.lnmid(h))
            h = note("post_attn", h + self.dropout(self.attn(h, keys, mask, within(note, "attn."))))

        residual = note("lnff", self.lnff(h))
        x = note("lnxff", self.lnxff(h))
        h = note("out", residual + self.dropout(self.boom(x, note)))
        return h, LayerState(h_n.detach(), c_n.detach(), memory.detach())


class TiedDecoder(nn.Module):
    """Logits by the embedding's own weight, with a bias or without (row 5)."""

    def __init__(self, vocab: int, bias: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocab)) if bias else None

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        return F.linear(h, embedding, self.bias)  # (T, B, H), (V, H) -> (T, B, V)


class SHARNN(nn.Module):
    """The SHA-RNN language model: embedding, blocks, decoder.

    A new model is initialised by row 7 of docs/semantics.md, from `generator` or else torch's global generator.
    """

    def __init__(self, config: Config, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Embedding(config.vocab, config.emb)
        self.blocks = nn.ModuleList(Block(config, config.attends(i)) for i in range(config.layers))
        self.decoder: nn.Module
        if config.tied:
            self.decoder = TiedDecoder(config.vocab, config.decoder_bias)
        else:
            self.decoder = nn.Linear(config.emb, config.vocab)
        self.dropout_embedding = dropout(config.dropout_embedding)
        self.dropout_output = dropout(config.dropout_output)
        initialise(self, config.semantics.initialisation, config.emb, generator)

    def forward(self, tokens: Tensor, state: State | None = None, note: Note | None = None) -> tuple[Tensor, State]:
        """Logits of the next token after each of `tokens`, and the state to continue from.

        `tokens` is an integer tensor (T, B) of ids from 0, T and B at least 1; `state` is what an earlier call
        returned for the same B sequences, or None to begin. Returns logits (T, B, V) and a detached state:
        gradients stop at segment borders. `note` is called with every intermediate (docs/tensors.md); a tensor that it
        returns replaces the intermediate. Raises `InputError` for tokens or a state that do not fit.
        """
        weight = self.encoder.weight
        check_tokens(tokens, self.config.vocab)
        steps, batch = tokens.shape
        if state is None:
            state = State.zeros(self.config, batch, dtype=weight.dtype, device=weight.device)
        else:
            state.check(self.config, batch, weight)

        note = passing(note)
        h = note("embed", self.dropout_embedding(self.encoder(tokens)))  # (T, B, H)
        held = state.memory_lengths
        carried = []
        for i, block in enumerate(self.blocks):
            layer, noted = state.layers[i], within(note, f"blocks.{i}.")
            if self.config.attends(i):
                memory = noted("memory_in", layer.memory[rows_dropped(self.config, held, steps, i) :])  # (M, B, H)
                layer = LayerState(layer.h, layer.c, memory)
            h, layer = block(h, layer, noted)
            carried.append(layer)
        h = note("h_final", self.dropout_output(h))
        logits = note("logits", self.decoder(h, weight) if self.config.tied else self.decoder(h))  # (T, B, V)
        return logits, State(tuple(carried))


def check_tokens(tokens: Tensor, vocab: int) -> None:
    """Raise `InputError` unless `tokens` is a (T, B) integer tensor, T and B at least 1, of ids below `vocab`."""
    if tokens.dtype not in (torch.int64, torch.int32):
        raise InputError(f"tokens are {tokens.dtype}; they must be int64 or int32 ids")
    if tokens.ndim != 2:
        raise InputError(f"tokens have shape {tuple(tokens.shape)}; they must be (T, B)")
    if not tokens.numel():
        raise InputError(f"tokens have shape {tuple(tokens.shape)}; a segment needs at least one step and sequence")
    # On an accelerator this would wait for the device, where the embedding itself asserts that ids are in range.
    if tokens.device.type == "cpu":
        low, high = (int(end) for end in tokens.aminmax())
        if low < 0 or high >= vocab:
            raise InputError(
                f"token ids run from {low} to {high}; with a vocabulary of {vocab} they must be 0 to {vocab - 1}"
            )


def nll(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log likelihood, nats a token, of `targets` (T, B) under `logits` (T, B, V); a scalar.

    `targets` are whole numbers: ids 0 to V - 1, or -1 for a target that is left out of the mean. -1 is SHA-RNN.jl's
    label 0, its ids being 1-based; torch's own -100 is refused. Where every target is left out the mean is NaN.
    Raises `InputError` for targets of another shape or type, and on the CPU for any other number.
    """
    check_targets(logits, targets)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten().long(), ignore_index=-1)


def check_targets(logits: Tensor, targets: Tensor) -> None:
    """Raise `InputError` unless `targets` (T, B) are ids below V, or -1, for `logits` (T, B, V)."""
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise InputError(f"targets are {targets.dtype}; they must be whole numbers")
    if logits.ndim != 3 or targets.shape != logits.shape[:2]:
        raise InputError(
            f"targets have shape {tuple(targets.shape)} and logits {tuple(logits.shape)}; they must be (T, B) and "
            "(T, B, V)"
        )
    if targets.device.type == "cpu" and targets.numel():  # not on an accelerator, as in `check_tokens`
        low, high, vocab = int(targets.min()), int(targets.max()), logits.shape[-1]
        if low < -1 or high >= vocab:
            raise InputError(
                f"targets run from {low} to {high}; with a vocabulary of {vocab} they must be 0 to {vocab - 1}, or -1 "
                "for a target to leave out of the mean (torch's own loss leaves out -100)"
            )
