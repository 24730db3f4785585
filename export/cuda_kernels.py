"""What onnxruntime's CUDA provider can run, read from the table `cuda_kernels.toml`."""

from pathlib import Path

import msgspec

PATH = Path(__file__).with_suffix(".toml")
ON_HOST = frozenset({"Shape", "Size"})
"""Operators whose result lies on the host: what is computed from it runs on the CPU."""


class Kernel(msgspec.Struct, frozen=True):
    """What CUDA's kernels of one operator accept."""

    inputs: tuple[str, ...]
    """Element types of each input, and names of the table's `types`; the last entry holds for all further inputs."""
    host: frozenset[int] = frozenset()
    """Inputs read on the host. They must be constants, or the nodes that compute them run on the CPU."""
    since: int = 13
    """The first opset for which this entry holds."""

    def takes(self, position: int) -> set[str]:
        """The element types that the input at `position`, from 0, may have."""
        names = self.inputs[min(position, len(self.inputs) - 1)].split()
        return {dtype for name in names for dtype in _TABLE.types.get(name, [name])}


class _Table(msgspec.Struct):
    types: dict[str, list[str]]
    kernels: dict[str, Kernel]


_TABLE = msgspec.toml.decode(PATH.read_bytes(), type=_Table)
KERNELS = _TABLE.kernels
"""The table's kernels, by the operator's name."""
