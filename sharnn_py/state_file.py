"""The format of saved states: a safetensors file of `layers.i.h`, `layers.i.c` and `layers.i.memory`, i from 0.

Every back end reads and writes it, so a sequence can move from one to another. No torch is loaded here.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sharnn_py.errors import CheckpointError
from sharnn_py.files import write_bytes
from sharnn_py.state_shapes import PARTS

METADATA = {"format": "sharnn state 1"}


def name_tensors(layers: Iterable[tuple[Any, Any, Any]]) -> dict[str, Any]:
    """The tensors of every layer's (h, c, memory) under their names in the file."""
    return {
        f"layers.{i}.{part}": tensor
        for i, layer in enumerate(layers)
        for part, tensor in zip(PARTS, layer, strict=True)
    }


def write_layers(path: str | Path, layers: Iterable[tuple[Any, Any, Any]]) -> None:
    """Write (h, c, memory) of every layer, NumPy arrays, to `path` in float32. Raises `OSError`."""
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in name_tensors(layers).items()}
    write_bytes(path, save(arrays, metadata=METADATA))


def layers_of(tensors: Mapping[str, Any], what: object) -> list[tuple[Any, Any, Any]]:
    """(h, c, memory) of every layer, from tensors under `name_tensors`' names.

    Raises `CheckpointError`, which calls the tensors `what`, if a name is missing or unknown.
    """
    left = dict(tensors)
    try:
        layers = [
            (left.pop(f"layers.{i}.h"), left.pop(f"layers.{i}.c"), left.pop(f"layers.{i}.memory"))
            for i in range(len(left) // len(PARTS))
        ]
    except KeyError as error:
        raise CheckpointError(f"{what} is a damaged state: tensor {error} is missing") from error
    if left or not layers:
        raise CheckpointError(f"{what} is a damaged state: it has {sorted(left) or 'no layers'}")
    return layers


def read_layers(path: str | Path, framework: str, device: str = "cpu") -> list[tuple[Any, Any, Any]]:
    """(h, c, memory) of every layer in the file at `path`, as tensors of `framework`, "pt" or "np".

    Raises `CheckpointError` if the file cannot be read or is not a saved state.
    """
    try:
        with safe_open(path, framework, device=device) as file:
            if (file.metadata() or {}).get("format") != METADATA["format"]:
                raise CheckpointError(f"{path} is a safetensors file, but not a saved state ({METADATA['format']!r})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: a dtype that NumPy does not have
        raise CheckpointError(f"{path} cannot be read as a saved state: {error}") from error
    return layers_of(tensors, path)
