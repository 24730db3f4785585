"""Sequences with carried state on PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sharnn_py.checkpoint import load_checkpoint
from sharnn_py.errors import CheckpointError, InputError
from sharnn_py.identity import identity
from sharnn_py.model import SHARNN
from sharnn_py.session import Arrays, Logits, SequenceSession
from sharnn_py.state import LayerState, State
from sharnn_py.state_file import StateFile, name_tensors, read_state, write_state
from sharnn_py.state_shapes import require_finite
from sharnn_py.vocabulary import Vocabulary


class TorchSession(SequenceSession):
    """B sequences with carried state on a `SHARNN` in PyTorch, in the model's own dtype and on its own device.

    The model is put into evaluation mode. `vocabulary` is needed for scoring and generating text.
    """

    def __init__(self, model: SHARNN, vocabulary: Vocabulary | None = None, batch: int = 1) -> None:
        super().__init__(model.config, vocabulary)
        self.model = model.eval()
        self._state: State
        self.reset(batch)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> TorchSession:
        """A new session of one sequence on the checkpoint in `folder`, on `device`.

        Raises `CheckpointError` for a baseline, `InputError` for a device that torch does not know or have, and what
        `sharnn_py.load_checkpoint` raises.
        """
        checkpoint = load_checkpoint(folder)
        if not isinstance(checkpoint.model, SHARNN):
            raise CheckpointError(f"{folder} holds a baseline; sessions are of SHA-RNN models")
        try:
            model = checkpoint.model.to(device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
            raise InputError(f"device is {str(device)!r}, which this PyTorch cannot use: {error}") from error
        return cls(model, checkpoint.vocabulary)

    @property
    def batch(self) -> int:
        """Number of sequences, B."""
        return self.state.batch

    @property
    def identity(self) -> str:
        """The identity of the model (`sharnn_py.identity`), computed from its parameters as they are now."""
        return identity(self.config, self.model.state_dict())

    @property
    def state(self) -> State:
        """The state. Setting it leaves nothing to go on from with an empty prompt, as no logits come with it."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        with self._lock:
            self._state, self._continuation = state, None

    def _feed_segment(self, tokens: NDArray[np.int64]) -> Logits:
        ids = torch.from_numpy(tokens).to(self._like.device)
        with torch.inference_mode():
            logits, self._state = self.model(ids, self._state)
        array: Logits = logits.to(torch.float32).cpu().numpy()
        return array

    def _feed_step(self, tokens: NDArray[np.int64]) -> Logits:
        logits: Logits = self._feed_segment(tokens[None])[0]  # (B, V)
        return logits

    def _begin(self, batch: int) -> None:
        like = self._like
        self._state = State.zeros(self.config, batch, dtype=like.dtype, device=like.device)

    def _copy(self) -> TorchSession:
        other = type(self)(self.model, self.vocabulary)
        other._state = self._state  # states are values: no forward pass changes one
        return other

    def _write(self, path: str | Path, vocabulary: str | None) -> None:
        write_state(path, self._arrays(), self.identity, vocabulary, self._continuation)

    def _arrays(self) -> list[Arrays]:
        # Half precision is given as float32, which NumPy and every back end can read; no number changes.
        kind = torch.float64 if self._like.dtype == torch.float64 else torch.float32
        layers = self._state.to("cpu", kind).layers
        return [(layer.h.numpy(), layer.c.numpy(), layer.memory.numpy()) for layer in layers]

    def _read(self, path: str | Path) -> StateFile:
        return read_state(path, "pt")

    def _continue_from(self, layers: Sequence[tuple[Any, Any, Any]], slot: int | None) -> None:
        like = self._like
        state = State(tuple(LayerState(*layer) for layer in layers)).to(like.device, like.dtype)
        h = state.layers[0].h
        if not h.ndim or not h.shape[0]:
            raise InputError("the state has no sequences")
        state.check(self.config, state.batch, like)
        require_finite(name_tensors(layer.tensors() for layer in state.layers), lambda t: bool(torch.isfinite(t).all()))
        self._state = state

    @property
    def _like(self) -> torch.Tensor:
        return self.model.encoder.weight
