"""What a SHA-RNN carries from one segment to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sharnn_py.config import Config
from sharnn_py.errors import InputError
from sharnn_py.files import write_bytes
from sharnn_py.state_file import METADATA, name_tensors, read_state
from sharnn_py.state_shapes import check_shapes


@dataclass(frozen=True)
class LayerState:
    """The state of one block. A block without attention has a memory of no rows."""

    h: Tensor  # (B, H) last hidden state of the LSTM
    c: Tensor  # (B, H) last cell state of the LSTM
    memory: Tensor  # (M, B, H) layer-normed hidden states of past steps, oldest first

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """h, c and memory, in this order."""
        return self.h, self.c, self.memory


@dataclass(frozen=True)
class State:
    """The state of B sequences in every block. States are values: a forward pass returns a new one and changes none."""

    layers: tuple[LayerState, ...]

    @classmethod
    def zeros(
        cls, config: Config, batch: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> State:
        """The state of `batch` new sequences, the same as no state: h and c zero, memories of no rows."""
        h = torch.zeros(batch, config.emb, dtype=dtype, device=device)
        empty = torch.zeros(0, batch, config.emb, dtype=dtype, device=device)
        return cls(tuple(LayerState(h, h, empty) for _ in range(config.layers)))

    @property
    def batch(self) -> int:
        """Number of sequences, B."""
        return self.layers[0].h.shape[0]

    @property
    def memory_lengths(self) -> tuple[int, ...]:
        """Number of memory rows, M, of each block."""
        return tuple(layer.memory.shape[0] for layer in self.layers)

    def detach(self) -> State:
        """The same state without its autograd graph. States that a forward pass returns are detached already."""
        return State(tuple(LayerState(*(t.detach() for t in layer.tensors())) for layer in self.layers))

    def to(self, *args: Any, **kwargs: Any) -> State:
        """The state on another device, in another dtype, or both, with the arguments of `torch.Tensor.to`."""
        return State(tuple(LayerState(*(t.to(*args, **kwargs) for t in layer.tensors())) for layer in self.layers))

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> State:
        """The state of the chosen sequences of the batch, in the order given; the batch axis always stays.

        Takes an index, a slice, a list, or a tensor of indices or booleans. Raises `IndexError` out of range.
        """
        index = torch.arange(self.batch)[[rows] if isinstance(rows, int) else rows]

        def pick(layer: LayerState) -> LayerState:
            at = index.to(layer.h.device)
            return LayerState(
                layer.h.index_select(0, at), layer.c.index_select(0, at), layer.memory.index_select(1, at)
            )

        return State(tuple(pick(layer) for layer in self.layers))

    def save(self, path: str | Path) -> None:
        """Write the state to the safetensors file `path`, in its dtype (`sharnn_py.state_file`). Raises `OSError`.

        A state does not know its model, so that the file names none: a session that is to continue from it has to be
        told that it is of its model (`SequenceSession.load_state`).
        """
        tensors = name_tensors(layer.tensors() for layer in self.layers)
        copies = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
        write_bytes(path, save(copies, metadata=METADATA))

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> State:
        """The state that `save`, or a session, wrote to `path`. Raises `CheckpointError` if it is not a saved state."""
        return cls(tuple(LayerState(*layer) for layer in read_state(path, "pt", str(device)).layers))

    def check(self, config: Config, batch: int, like: Tensor) -> None:
        """Raise `InputError` unless a model of `config` can continue `batch` sequences from this state.

        `like` is one of the model's parameters: the state must have its dtype and device.
        """
        layers = [layer.tensors() for layer in self.layers]
        check_shapes(layers, config, batch)
        for name, tensor in name_tensors(layers).items():
            if tensor.dtype != like.dtype or tensor.device != like.device:
                raise InputError(
                    f"the state's {name} is {tensor.dtype} on {tensor.device}, the model {like.dtype} on "
                    f"{like.device}; move the state with State.to"
                )
