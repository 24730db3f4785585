"""Recordings: what a program computed, tensor by tensor, on one model and one series of segments.

A recording is a safetensors file (or one compressed as `.safetensors.xz`) whose header tells the configuration and
how it was made; docs/recordings.md describes the format. A file `data_pipeline.json` records the output of code that
prepares data: JSON, and no tensors.
"""

import hashlib
import json
import lzma
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from parity.errors import RecordingError
from parity.recording.files import DATA_PIPELINE
from parity.recording.names import parse

LARGE = 2**22
"""The size in bytes from which a tensor is read by safetensors itself."""

HALF = {torch.bfloat16: "BF16", torch.float16: "F16"}
"""Formats of half precision, coarsest first, and how a file's header writes them."""


class ReadOnDemand(Mapping[str, Tensor]):
    """Tensors by name, each read when it is asked for and not kept."""

    def __init__(self, readers: Mapping[str, Callable[[], Tensor]]) -> None:
        self.readers = readers

    def __getitem__(self, name: str) -> Tensor:
        return self.readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.readers)

    def __len__(self) -> int:
        return len(self.readers)


def _read(path: Path, begin: int, name: str, entry: dict[str, Any]) -> Tensor:
    """One tensor of a safetensors file, given its entry in the header and where the tensors' bytes begin.

    safetensors reads the whole header again whenever it opens the file, which for a thousand tensors takes longer than
    reading the tensors. So a small tensor is passed to it as a file of that tensor alone; a large one, which that would
    copy, is worth the header.
    """
    start, end = entry["data_offsets"]
    try:
        if end - start < LARGE:
            header = json.dumps({name: {**entry, "data_offsets": [0, end - start]}}).encode()
            with path.open("rb") as file:
                file.seek(begin + start)
                tensor = load(struct.pack("<Q", len(header)) + header + file.read(end - start))[name]
        else:
            with safe_open(path, framework="pt") as file:
                tensor = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise RecordingError(f"{path} cannot be read any more: {error}") from error
    _check_no_nan(path, name, tensor)
    return tensor


@dataclass(frozen=True)
class Recording:
    """One recording. Its tensors are read and checked when they are used; everything else comes from the header."""

    name: str
    path: Path | None = None
    """The recording's file; None for a recording in memory."""
    contents: tuple[Mapping[str, Tensor], Mapping[str, str]] | None = field(default=None, repr=False)
    """Tensors and header of a recording in memory."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process is told of the file, and reads it; what was read here is not sent."""
        return type(self), (self.name, self.path, self.contents)

    @property
    def label(self) -> str:
        """What error messages call it: its file, or its name if it has none."""
        return self.name if self.path is None else str(self.path)

    @property
    def _file(self) -> Path:
        if self.path is None:
            raise RecordingError(f"{self.name} has neither a file nor contents")
        return self.path

    @cached_property
    def _unpacked(self) -> bytes:
        try:
            return lzma.decompress(self._file.read_bytes())
        except (OSError, lzma.LZMAError) as error:
            raise RecordingError(f"{self.label} cannot be read: {error}") from error

    @cached_property
    def metadata(self) -> dict[str, str]:
        """The header's provenance, as text."""
        if self.contents is not None:
            return dict(self.contents[1])
        if self.is_data:
            return {}
        try:
            header = json.loads(self._header())
            metadata = header.get("__metadata__", {})
        except (struct.error, ValueError, AttributeError, MemoryError, OverflowError) as error:
            raise self._cut_short(error) from error
        return {str(key): str(value) for key, value in metadata.items()}

    def _in_order(self) -> ReadOnDemand:
        """The tensors in the order of the file, in which a program that recorded as it ran wrote them."""
        header = self._header()
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        names = sorted(entries, key=lambda name: entries[name]["data_offsets"])  # equal ones stay as in the header
        begin = 8 + len(header)
        return ReadOnDemand({name: partial(_read, self._file, begin, name, entries[name]) for name in names})

    def _header(self) -> bytes:
        if self._file.suffix == ".xz":
            (length,) = struct.unpack("<Q", self._unpacked[:8])
            return self._unpacked[8 : 8 + length]
        try:
            with self._file.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                return file.read(length)
        except OSError as error:
            raise RecordingError(f"{self.label} cannot be read: {error}") from error

    def _cut_short(self, error: object) -> RecordingError:
        return RecordingError(f"{self.label} is not a safetensors file, or is cut short: {error}")

    @cached_property
    def provenance(self) -> dict[str, str]:
        """The header, and the file's hash."""
        if self.contents is not None:
            return self.metadata
        with self._file.open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(2**22):
                digest.update(chunk)
        return {**self.metadata, "sha256 of the file": digest.hexdigest()}

    @property
    def is_data(self) -> bool:
        """Whether this is the recording of code that prepares data (`data`) rather than of a model (`tensors`)."""
        return self.path is not None and self.path.name == DATA_PIPELINE

    @cached_property
    def config(self) -> dict[str, Any]:
        """The header's configuration."""
        try:
            config = json.loads(self.metadata["config"])
        except (KeyError, ValueError) as error:
            raise RecordingError(f"{self.label}: the header has no readable 'config': {error}") from error
        if not isinstance(config, dict):
            raise RecordingError(f"{self.label}: the header's 'config' is not an object")
        return config

    def setting(self, key: str) -> Any:
        """One entry of the configuration. Raises `RecordingError` if it is missing."""
        if key not in self.config:
            raise RecordingError(f"{self.label}: the header's 'config' has no entry {key!r}")
        return self.config[key]

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """Every tensor by name. Raises `RecordingError` for a damaged file, and, when it is read, for a NaN."""
        tensors: Mapping[str, Tensor]
        if self.contents is not None:
            tensors = self.contents[0]
        else:
            try:
                if self._file.suffix == ".xz":
                    tensors = load(self._unpacked)
                else:
                    with safe_open(self._file, framework="pt"):  # checks the whole header against the file's size
                        tensors = self._in_order()
            except (SafetensorError, KeyError, ValueError, OSError) as error:
                raise self._cut_short(error) from error
        if not tensors:
            raise RecordingError(f"{self.label} holds no tensors")
        if isinstance(tensors, dict):
            for name, tensor in tensors.items():
                _check_no_nan(self.label, name, tensor)
        return tensors

    @cached_property
    def format(self) -> torch.dtype:
        """What was computed in: torch.bfloat16 or torch.float16 if any intermediate is recorded in it, else float32."""
        if self.contents is None and self._file.suffix != ".xz":
            entries = json.loads(self._header())
            found = {entry.get("dtype") for name, entry in entries.items() if name.startswith("eval/")}
        else:
            found = {HALF.get(tensor.dtype) for name, tensor in self.tensors.items() if name.startswith("eval/")}
        return next((dtype for dtype, written in HALF.items() if written in found), torch.float32)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The content of a recording of the data code."""
        try:
            content = json.loads(self._file.read_bytes())
        except ValueError as error:
            raise RecordingError(f"{self.label} is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RecordingError(f"{self.label} is not a JSON object")
        return content

    def tensor(self, name: str) -> Tensor:
        """One tensor. Raises `RecordingError` if it is missing."""
        if name not in self.tensors:
            raise RecordingError(f"{self.label}: tensor {name} is missing")
        return self.tensors[name]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under `prefix`, by the rest of their names."""
        return {name[len(prefix) :]: self.tensors[name] for name in self.tensors if name.startswith(prefix)}

    def has(self, group: str) -> bool:
        """Whether there is any tensor whose name begins with `group/`."""
        return group in self._groups

    @cached_property
    def _groups(self) -> frozenset[str]:
        """Every name cut off before each of its slashes."""
        parts = (name.split("/") for name in self.tensors)
        return frozenset("/".join(part[:depth]) for part in parts for depth in range(1, len(part)))

    @property
    def segments(self) -> list[int]:
        """The numbers of the segments that anything was recorded of."""
        numbers = {parse(name).index for name in self.tensors if parse(name).group in ("eval", "input")}
        return sorted(number for number in numbers if number is not None)

    def count(self, group: str) -> int:
        """How many numbered members `group` has: segments of `eval` and `grad`, updates of `train`.

        Raises `RecordingError` unless they are numbered 1, 2, 3, ...
        """
        found = {name.split("/")[1] for name in self.tensors if name.startswith(f"{group}/") and name.count("/") > 1}
        if found != {str(i) for i in range(1, len(found) + 1)}:
            raise RecordingError(f"{self.label}: {group}/ should be numbered 1, 2, ...; it has {sorted(found)}")
        return len(found)


def _check_no_nan(label: str | Path, name: str, tensor: Tensor) -> None:
    if tensor.is_floating_point() and torch.isnan(tensor).any():
        raise RecordingError(f"{label}: {name} holds a NaN")
