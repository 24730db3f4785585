"""Recordings: what a program computed, tensor by tensor, on one model and one series of segments.

A recording is a safetensors file (or one compressed as `.safetensors.xz`) whose header tells the program, the
configuration and how it was made; docs/recordings.md describes the format. `data_pipeline.json` records the data
code. A folder of recordings may have subfolders; a recording's name is its path in the folder without the suffix.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from parity.errors import RecordingError, UsageError
from sharnn_py.config import Program

PACKAGED = Path(__file__).parents[1] / "references"
"""The folder of the recordings that come with the package."""
SUFFIXES = (".safetensors", ".safetensors.xz")
DATA_PIPELINE = "data_pipeline.json"


class _File(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each read when it is asked for and kept by nobody."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        self.path, self.names = path, dict.fromkeys(names)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.names:
            raise KeyError(name)
        try:
            with safe_open(self.path, framework="pt") as file:
                tensor: Tensor = file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise RecordingError(f"{self.path} cannot be read any more: {error}") from error
        _check_no_nan(self.path, name, tensor)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Recording:
    """One recording. Its tensors are read and checked when they are used; everything else comes from the header."""

    name: str
    path: Path
    contents: tuple[Mapping[str, Tensor], Mapping[str, str]] | None = field(default=None, repr=False)
    """Tensors and header of a recording that is in no file; `path` then only names it."""

    @cached_property
    def _unpacked(self) -> bytes:
        try:
            return lzma.decompress(self.path.read_bytes())
        except (OSError, lzma.LZMAError) as error:
            raise RecordingError(f"{self.path} cannot be read: {error}") from error

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The header's provenance, as text."""
        if self.contents is not None:
            return dict(self.contents[1])
        if self.is_data:
            return {"implementation": "alisafaya/SHA-RNN.jl@ebd62af", "source": "src/data.jl, src/lamb.jl"}
        try:
            header = json.loads(self._header())
            metadata = header.get("__metadata__", {})
        except (struct.error, ValueError, AttributeError, MemoryError, OverflowError) as error:
            raise self._cut_short(error) from error
        return {str(key): str(value) for key, value in metadata.items()}

    def _names_in_order(self) -> list[str]:
        """The tensors' names in the order they stand in the file, which is that of a program that wrote as it ran."""
        header = json.loads(self._header())
        header.pop("__metadata__", None)
        return sorted(header, key=lambda name: header[name]["data_offsets"])  # equal ones stay in the header's order

    def _header(self) -> bytes:
        if self.path.suffix == ".xz":
            (length,) = struct.unpack("<Q", self._unpacked[:8])
            return self._unpacked[8 : 8 + length]
        try:
            with self.path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                return file.read(length)
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error}") from error

    def _cut_short(self, error: object) -> RecordingError:
        return RecordingError(f"{self.path} is not a safetensors file, or is cut short: {error}")

    @cached_property
    def provenance(self) -> dict[str, str]:
        """The header, and the file's hash."""
        if self.contents is not None:
            return self.metadata
        with self.path.open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(2**22):
                digest.update(chunk)
        return {**self.metadata, "sha256 of the file": digest.hexdigest()}

    @cached_property
    def program(self) -> Program:
        """Whose semantics were recorded."""
        if self.metadata.get("semantics") in ("julia", "paper"):
            return cast(Program, self.metadata["semantics"])
        made_by = self.metadata.get("implementation", "") + self.metadata.get("source", "")
        if "SHA-RNN.jl" in made_by:
            return "julia"
        if "Smerity/sha-rnn" in made_by:
            return "paper"
        raise RecordingError(
            f"{self.path}: its header names neither SHA-RNN.jl (as 'implementation') nor Smerity/sha-rnn "
            "(as 'source') nor the 'semantics', so it is not a recording of either program"
        )

    @property
    def is_data(self) -> bool:
        """Whether this is the recording of the data code rather than of a model."""
        return self.path.name == DATA_PIPELINE

    @cached_property
    def config(self) -> dict[str, Any]:
        """The header's configuration."""
        try:
            config = json.loads(self.metadata["config"])
        except (KeyError, ValueError) as error:
            raise RecordingError(f"{self.path}: the header has no readable 'config': {error}") from error
        if not isinstance(config, dict):
            raise RecordingError(f"{self.path}: the header's 'config' is not an object")
        return config

    def setting(self, key: str) -> Any:
        """One entry of the configuration. Raises `RecordingError` if it is missing."""
        if key not in self.config:
            raise RecordingError(f"{self.path}: the header's 'config' has no entry {key!r}")
        return self.config[key]

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor by name. Raises `RecordingError` for a damaged file, and, when it is read, for a NaN."""
        tensors: Mapping[str, Tensor]
        if self.contents is not None:
            tensors = self.contents[0]
        else:
            try:
                if self.path.suffix == ".xz":
                    tensors = load(self._unpacked)
                else:
                    with safe_open(self.path, framework="pt"):  # checks the whole header against the file's size
                        tensors = _File(self.path, self._names_in_order())
            except (SafetensorError, KeyError, ValueError, OSError) as error:
                raise self._cut_short(error) from error
        if not tensors:
            raise RecordingError(f"{self.path} holds no tensors")
        if isinstance(tensors, dict):
            for name, tensor in tensors.items():
                _check_no_nan(self.path, name, tensor)
        return tensors

    @cached_property
    def data(self) -> dict[str, Any]:
        """The content of a recording of the data code."""
        try:
            content = json.loads(self.path.read_bytes())
        except ValueError as error:
            raise RecordingError(f"{self.path} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RecordingError(f"{self.path} is not a JSON object")
        return content

    def tensor(self, name: str) -> Tensor:
        """One tensor. Raises `RecordingError` if it is missing."""
        if name not in self.tensors:
            raise RecordingError(f"{self.path}: tensor {name} is missing")
        return self.tensors[name]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under `prefix`, by the rest of their names."""
        return {name[len(prefix) :]: self.tensors[name] for name in self.tensors if name.startswith(prefix)}

    def has(self, group: str) -> bool:
        """Whether there is any tensor whose name begins with `group/`."""
        return any(name.startswith(f"{group}/") for name in self.tensors)

    @property
    def segments(self) -> int:
        """How many segments `eval` holds. Raises `RecordingError` unless that is as many as the header says."""
        found, lengths = self.count("eval"), self.setting("segs")
        if not isinstance(lengths, list) or (found and found != len(lengths)):
            raise RecordingError(f"{self.path}: eval/ has {found} segments, but the header's segs are {lengths}")
        return found

    def count(self, group: str) -> int:
        """How many numbered members `group` has: segments of `eval` and `grad`, updates of `train`.

        Raises `RecordingError` unless they are numbered 1, 2, 3, ...
        """
        found = {name.split("/")[1] for name in self.tensors if name.startswith(f"{group}/") and name.count("/") > 1}
        if found != {str(i) for i in range(1, len(found) + 1)}:
            raise RecordingError(f"{self.path}: {group}/ should be numbered 1, 2, ...; it has {sorted(found)}")
        return len(found)


def _check_no_nan(path: Path, name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and torch.isnan(tensor).any():
        raise RecordingError(f"{path}: {name} holds a NaN")


def discover(folder: Path) -> list[Recording]:
    """Every recording in `folder`, sorted by name. Raises `UsageError` if there is none."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of recordings")
    recordings = sorted(_discover(folder), key=lambda recording: recording.name)
    if not recordings:
        raise RecordingError(f"{folder} holds no recordings: no file ends in {' or '.join(SUFFIXES)}")
    return recordings


def _discover(folder: Path) -> Iterator[Recording]:
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        if path.name == DATA_PIPELINE:
            yield Recording(relative.removesuffix(".json"), path)
        for suffix in SUFFIXES:
            if path.name.endswith(suffix):
                yield Recording(relative.removesuffix(suffix), path)
