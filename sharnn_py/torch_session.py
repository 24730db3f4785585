"""Sequences with carried state on PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sharnn_py.checkpoint import load_checkpoint
from sharnn_py.errors import CheckpointError, InputError
from sharnn_py.model import SHARNN
from sharnn_py.session import Logits, SequenceSession, Tokens, at_least
from sharnn_py.state import State
from sharnn_py.vocabulary import Vocabulary


class TorchSession(SequenceSession):
    """B sequences with carried state on a `SHARNN` in PyTorch, in the model's own dtype and on its own device.

    The model is put into evaluation mode. `vocabulary` is needed for scoring and generating text.
    """

    def __init__(self, model: SHARNN, vocabulary: Vocabulary | None = None, batch: int = 1) -> None:
        super().__init__(model.config, vocabulary)
        self.model = model.eval()
        self.state: State
        self.reset(batch)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> TorchSession:
        """A new session of one sequence on the checkpoint in `folder`, on `device`.

        Raises `CheckpointError` for a baseline, and what `sharnn_py.load_checkpoint` raises.
        """
        checkpoint = load_checkpoint(folder)
        if not isinstance(checkpoint.model, SHARNN):
            raise CheckpointError(f"{folder} holds a baseline; sessions are of SHA-RNN models")
        return cls(checkpoint.model.to(device), checkpoint.vocabulary)

    @property
    def batch(self) -> int:
        """Number of sequences, B."""
        return self.state.batch

    def prefill(self, tokens: Tokens) -> Logits:
        return self._feed(self.check_tokens(tokens, 2))

    def step(self, tokens: Tokens) -> Logits:
        logits: Logits = self._feed(self.check_tokens(tokens, 1)[None])[0]  # (B, V)
        return logits

    def _feed(self, tokens: NDArray[np.int64]) -> Logits:
        ids = torch.from_numpy(tokens).to(self._like.device)
        with torch.inference_mode():
            logits, self.state = self.model(ids, self.state)
        array: Logits = logits.to(torch.float32).cpu().numpy()
        return array

    def reset(self, batch: int = 1) -> None:
        like = self._like
        self.state = State.zeros(self.config, at_least(1, "batch", batch), dtype=like.dtype, device=like.device)

    def fork(self) -> TorchSession:
        other = type(self)(self.model, self.vocabulary)
        other.state = self.state  # states are values: no forward pass changes one
        return other

    def save_state(self, path: str | Path) -> None:
        # Half precision is written as float32, which NumPy and every back end can read; no number changes.
        half = self._like.dtype in (torch.float16, torch.bfloat16)
        (self.state.to(torch.float32) if half else self.state).save(path)

    def load_state(self, path: str | Path) -> None:
        like = self._like
        state = State.load(path).to(like.device, like.dtype)
        h = state.layers[0].h
        if not h.ndim or not h.shape[0]:
            raise InputError(f"{path}: the state has no sequences")
        state.check(self.config, state.batch, like)
        self.state = state

    @property
    def _like(self) -> torch.Tensor:
        return self.model.encoder.weight
