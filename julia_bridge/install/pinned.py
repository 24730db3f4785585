"""Files that are known before they are fetched: where they lie, and the sha256 of their bytes (see debian.json)."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from julia_bridge.errors import JuliaUnavailable


@dataclass(frozen=True)
class Pin:
    """One file to fetch: `path` is where it lies in its archive, and `sha256` what its bytes hash to."""

    name: str
    version: str
    path: str
    sha256: str

    @property
    def file(self) -> str:
        """The file's name, in the archive and on disk."""
        return self.path.rpartition("/")[2]

    def is_in(self, folder: Path) -> bool:
        """Whether the file is there with its sha256. One with another sha256 is removed."""
        path = folder / self.file
        if not path.is_file():
            return False
        if hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256:
            return True
        path.unlink()
        return False


def read_pins(path: Path) -> tuple[list[Pin], Pin]:
    """The Debian packages and the juliacall that a pin file names."""
    content = json.loads(path.read_text())
    return [Pin(**package) for package in content["debian"]], Pin(**content["juliacall"])


def missing(pins: Iterable[Pin], folder: Path) -> list[Pin]:
    """The files that are not in `folder` with their sha256."""
    return [pin for pin in pins if not pin.is_in(folder)]


def require(pins: Iterable[Pin], folder: Path) -> None:
    """Raise `JuliaUnavailable` unless every file is in `folder` with the hash it must have."""
    if wrong := missing(pins, folder):
        raise JuliaUnavailable(
            "these downloads are missing or do not have the sha256 that this project knows them by, and were not used: "
            + ", ".join(pin.file for pin in wrong)
            + ". Try again; if that does not help, your mirror serves other files under these names."
        )
