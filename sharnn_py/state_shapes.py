"""What a state must be for a model to continue from it, in whatever library its tensors are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sharnn_py.config import Config
from sharnn_py.errors import InputError

PARTS = ("h", "c", "memory")
"""What every block carries: h and c (B, H), and memory (M, B, H)."""


def check_shapes(layers: Sequence[tuple[Any, Any, Any]], config: Config, batch: int) -> None:
    """Raise `InputError` unless every block's (h, c, memory) are a state of B = `batch` sequences of `config`'s model.

    The number of memory rows, M, may differ from block to block; a block without attention holds none.
    """
    if len(layers) != config.layers:
        raise InputError(f"the state has {len(layers)} layers, the model {config.layers}")
    for i, layer in enumerate(layers):
        rows = layer[2].shape[:1]
        expected = (batch, config.emb), (batch, config.emb), (*rows, batch, config.emb)
        for part, tensor, shape in zip(PARTS, layer, expected, strict=True):
            if tuple(tensor.shape) != shape:
                raise InputError(
                    f"layer {i}: the state's {part} has shape {tuple(tensor.shape)}, expected {shape}; a state "
                    "continues only the same sequences, with the same batch size, under the same model"
                )
        if rows[0] and not config.attends(i):
            raise InputError(f"layer {i}: the state has {rows[0]} memory rows, but this block has no attention")


def require_finite(tensors: Mapping[str, Any], finite: Callable[[Any], bool]) -> None:
    """Raise `InputError` naming the tensors of a state that `finite` denies: those that hold NaN or infinity."""
    wrong = [name for name, tensor in tensors.items() if not finite(tensor)]
    if wrong:
        raise InputError(
            f"the state's {', '.join(wrong)} hold NaN or infinity, from which nothing can be continued; go back to "
            "an earlier state, or begin anew"
        )
