"""Writing a recording tensor by tensor, so that they never have to be in memory together."""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from parity.errors import RecordingError
from sharnn_py.files import beside

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class RecordingWriter:
    """A safetensors file being written: `add` tensors, then `finish` with the header's metadata.

    The tensors are written to a file beside `path`; `path` itself appears with `finish` or not at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, dict[str, object]] = {}
        self._data = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115, closed by __exit__
        self._size = 0

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._data.close()

    def add(self, name: str, tensor: Tensor) -> None:
        """Write one tensor. Raises `RecordingError` for a name given twice or an element type not in `DTYPES`."""
        if name in self._entries:
            raise RecordingError(f"{self.path}: two tensors are named {name}")
        if tensor.dtype not in DTYPES:
            known = ", ".join(map(str, DTYPES))
            raise RecordingError(f"{self.path}: {name} is {tensor.dtype}; a recording holds {known}")
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        self._data.write(content.numpy().data)
        end = self._size + content.nbytes
        self._entries[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [self._size, end],
        }
        self._size = end

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Put header and tensors together under `path`."""
        header = json.dumps({"__metadata__": dict(metadata), **self._entries}).encode()
        header += b" " * (-len(header) % 8)
        self._data.seek(0)
        with beside(self.path) as file:
            file.write(struct.pack("<Q", len(header)) + header)
            shutil.copyfileobj(self._data, file, 2**22)
