"""The planted faults, a file for each part of the source that they break.

`parity.sharnn.faults.fault.Fault` describes an entry. A new entry in any of these files is planted and checked wherever
the others are.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from parity.sharnn.faults.fault import Fault
from sharnn_py.errors import SharnnError

T = TypeVar("T")
PARTS = (
    "parameters", "ends", "layer_norm", "lstm", "queries", "scores", "boom", "memory", "state", "gradients",
    "optimiser", "data", "serving", "precision",
)  # fmt: skip


class CatalogueError(SharnnError):
    """A file of faults that cannot be read, or an entry that is not what an entry must be."""


def entries(path: Path, name: str, kind: type[T]) -> list[T]:
    """The entries [[name]] of a file. Raises `CatalogueError` saying which of them is wrong, and how."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, list[kind]])[name]  # type: ignore[valid-type]
    except msgspec.MsgspecError as error:
        raise CatalogueError(f"{path}: {error}") from error


FAULTS = [fault for part in PARTS for fault in entries(Path(__file__).with_name(f"{part}.toml"), "fault", Fault)]
"""All faults, in the order of what they break."""
