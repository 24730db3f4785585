"""The planted faults, a file for each part of the source that they break.

`parity.sharnn.faults.fault.Fault` has what an entry says. A new entry in any of these files is planted and checked
wherever the ones before it are.
"""

from pathlib import Path

import msgspec

from parity.sharnn.faults.fault import Fault
from sharnn_py.errors import SharnnError

PARTS = (
    "parameters", "ends", "layer_norm", "lstm", "queries", "scores", "boom", "memory", "state", "gradients",
    "optimiser", "data", "serving",
)  # fmt: skip


class CatalogueError(SharnnError):
    """A file of faults that cannot be read, or an entry that is not what an entry must be."""


def load(path: Path) -> list[Fault]:
    """The faults of one file. Raises `CatalogueError` saying which entry is wrong, and how."""
    try:
        content = msgspec.toml.decode(path.read_bytes(), type=dict[str, list[Fault]])
    except msgspec.MsgspecError as error:
        raise CatalogueError(f"{path}: {error}") from error
    return content["fault"]


FAULTS = [fault for part in PARTS for fault in load(Path(__file__).with_name(f"{part}.toml"))]
"""All of them, in the order of what they break."""
