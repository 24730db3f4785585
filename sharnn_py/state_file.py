"""The format of saved states: a safetensors file of `layers.i.h`, `layers.i.c` and `layers.i.memory`, i from 0.

Every back end reads and writes it, so a sequence can move from one to another. No torch is loaded here. Besides the
state a file may hold, each of them or none:

- in its metadata `model` and `vocabulary`, the identities (`sharnn_py.identity`) of those that the state is of;
- the tensors `continuation.logits` (B, V) and `continuation.tokens` (B,) with the metadata `continuation`, a JSON
  object of `unfinished` (in hexadecimal), `seed`, `drawn` and `slot`: the fields of a `Continuation`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sharnn_py.continuation import Continuation
from sharnn_py.errors import CheckpointError, InputError
from sharnn_py.files import write_bytes
from sharnn_py.state_shapes import PARTS

METADATA = {"format": "sharnn state 1"}
_ARRAYS = {"logits": np.float32, "tokens": np.int64}


@dataclass(frozen=True)
class StateFile:
    """What a file of a saved state holds."""

    layers: list[tuple[Any, Any, Any]]
    """(h, c, memory) of every layer."""
    model: str | None
    """The identity of the model that it is a state of; None if the file does not say."""
    vocabulary: str | None
    """The identity of the vocabulary of its tokens; None if the file does not say."""
    continuation: Continuation | None
    """What the last tokens left; None if the file does not say."""

    def check(self, path: str | Path, model: str, vocabulary: str | None, vocab: int, unidentified: bool) -> None:
        """Raise an error unless this, which was read from `path`, is a state of this model and vocabulary.

        `model` and `vocabulary` are identities, the latter None for a model without one; `vocab` is its number of ids.
        With `unidentified` a file may leave out of which model it is. It is an `InputError` to be another's, and a
        `CheckpointError` to have a continuation that is not one of these sequences.
        """
        if self.model is None and not unidentified:
            raise InputError(
                f"{path} does not say which model it is a state of, and that of another model would be continued with "
                "nonsense; if you know that it is this one's, say so: load_state(..., unidentified=True), or "
                "--unidentified-state"
            )
        if self.model not in (None, model):
            raise InputError(
                f"{path} is a state of another model, {str(self.model)[:12]}…; this one is {model[:12]}…, and a state "
                "continues only under the model that made it"
            )
        if None not in (vocabulary, self.vocabulary) and vocabulary != self.vocabulary:
            raise InputError(
                f"{path} is a state of another vocabulary, {str(self.vocabulary)[:12]}…; this model has "
                f"{str(vocabulary)[:12]}…, whose ids mean other tokens"
            )
        if self.continuation is None:
            return
        h = self.layers[0][0].shape
        B, logits, tokens = h[0] if h else 0, self.continuation.logits, self.continuation.tokens
        if logits.shape != (B, vocab) or tokens.shape != (B,) or not ((tokens >= 0) & (tokens < vocab)).all():
            raise CheckpointError(
                f"{path} is a damaged state: its continuation has logits {logits.shape} and tokens {tokens.shape} of up"
                f" to {tokens.max(initial=0)}, where {B} sequences of {vocab} ids were expected"
            )


def name_tensors(layers: Iterable[tuple[Any, Any, Any]]) -> dict[str, Any]:
    """The tensors of every layer's (h, c, memory) under their names in the file."""
    return {
        f"layers.{i}.{part}": tensor
        for i, layer in enumerate(layers)
        for part, tensor in zip(PARTS, layer, strict=True)
    }


def write_state(
    path: str | Path,
    layers: Iterable[tuple[Any, Any, Any]],
    model: str | None = None,
    vocabulary: str | None = None,
    continuation: Continuation | None = None,
) -> None:
    """Write (h, c, memory) of every layer, NumPy arrays, to `path`: float64 as it is, all else in float32.

    `model` and `vocabulary` are identities. Raises `OSError`.
    """
    arrays = {
        name: np.ascontiguousarray(array, np.float64 if array.dtype == np.float64 else np.float32)
        for name, array in name_tensors(layers).items()
    }
    metadata = METADATA | {name: said for name, said in (("model", model), ("vocabulary", vocabulary)) if said}
    if continuation is not None:
        of = continuation
        arrays |= {f"continuation.{name}": np.ascontiguousarray(getattr(of, name), _ARRAYS[name]) for name in _ARRAYS}
        rest = {"unfinished": of.unfinished.hex(), "seed": of.seed, "drawn": of.drawn, "slot": of.slot}
        metadata["continuation"] = json.dumps(rest)
    write_bytes(path, save(arrays, metadata=metadata))


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


def read_state(path: str | Path, framework: str = "np", device: str = "cpu") -> StateFile:
    """What the file at `path` holds, its state as tensors of `framework`, "pt" or "np".

    Raises `CheckpointError` if the file cannot be read or is not a saved state.
    """
    try:
        with safe_open(path, framework, device=device) as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != METADATA["format"]:
                raise CheckpointError(f"{path} is a safetensors file, but not a saved state ({METADATA['format']!r})")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: a dtype that NumPy does not have
        raise CheckpointError(f"{path} cannot be read as a saved state: {error}") from error
    continuation = None
    if "continuation" in metadata:
        try:
            arrays = {name: _array(tensors.pop(f"continuation.{name}"), kind) for name, kind in _ARRAYS.items()}
            continuation = _continuation(json.loads(metadata["continuation"]), arrays)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{path} is a damaged state: its continuation cannot be read ({error})") from error
    layers = layers_of(tensors, path)
    return StateFile(layers, metadata.get("model"), metadata.get("vocabulary"), continuation)


def _array(tensor: Any, kind: Any) -> NDArray[Any]:
    array = np.asarray(tensor.cpu() if hasattr(tensor, "cpu") else tensor)
    if array.dtype != kind:
        raise TypeError(f"{array.dtype} in place of {np.dtype(kind)}")
    return array


def _continuation(rest: dict[str, Any], arrays: dict[str, Any]) -> Continuation:
    seed, drawn, slot = (rest[name] for name in ("seed", "drawn", "slot"))
    given = [drawn, *(number for number in (seed, slot) if number is not None)]
    if any(not isinstance(number, int) or number < 0 for number in given):
        raise ValueError(f"seed {seed!r}, drawn {drawn!r} and slot {slot!r} must be whole numbers of at least 0")
    return Continuation(**arrays, unfinished=bytes.fromhex(rest["unfinished"]), seed=seed, drawn=drawn, slot=slot)
