"""`manifest.json`: all that a program in any language has to know to serve an export folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import ExportError

FORMAT = "sharnn onnx 1"
NAME = "manifest.json"
SERVING, CHECKING = "serving", "checking"


@dataclass(frozen=True)
class Manifest:
    """What an export folder holds and how to use it, as `manifest.json` says it."""

    config: dict[str, Any]
    """Sizes and semantics, as in `config.json`."""
    precision: str
    """"float32" or "float16", of weights, h, c, memory and ring. Logits, mask, scale and bias are always float32."""
    opset: int
    """Version of the ONNX operators."""
    capacity: int
    """Most slots of a ring: as many as the model can attend to, or fewer if the export was given less. 0 without
    attention."""
    rules: dict[str, Any]
    """How a host makes masks and slots, and turns a memory into a ring and back."""
    graphs: dict[str, dict[str, Any]]
    """The file, inputs, outputs and weights of every graph."""
    files: dict[str, dict[str, Any]]
    """The sha256 and the size in bytes of every file, and whether it is for serving or only for checking."""
    check: dict[str, Any] | None
    """The figures of `--check`, or None if the export was written without a check."""
    model: str | None = None
    """The identity of the model that was exported (`sharnn_py.identity`), which saved states carry. None, or missing,
    in an export that an earlier version wrote."""
    format: str = FORMAT

    def to_json(self) -> str:
        """The text of `manifest.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of the export in `folder`. Raises `ExportError` if it has none that this program reads."""
        path = folder / NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ExportError(f"{folder} is not an export: it has no {NAME} ({error.strerror or error})") from error
        except ValueError as error:
            raise ExportError(f"{path} is damaged: {error}") from error
        given = values.get("format") if isinstance(values, dict) else None
        if given != FORMAT:
            raise ExportError(f"{path} has format {given!r}, this program reads {FORMAT!r}; export the model again")
        fields = {field.name for field in dataclasses.fields(cls)}
        if set(values) | {"model"} != fields:
            wrong = sorted((set(values) | {"model"}) ^ fields)
            raise ExportError(f"{path} is damaged: {', '.join(wrong)} missing or unknown")
        return cls(**values)

    def verify(self, folder: Path, *purposes: str) -> None:
        """Raise `ExportError` unless every file for these purposes has the sha256 that it was exported with."""
        wrong = []
        for name, entry in self.files.items():
            if entry["for"] not in purposes:
                continue
            try:
                found = sha256(folder / name)
            except OSError as error:
                wrong.append(f"{name} cannot be read ({error.strerror or error})")
                continue
            if found != entry["sha256"]:
                wrong.append(
                    f"{name} is not the file that was exported (sha256 {found[:12]}…, expected {entry['sha256'][:12]}…)"
                )
        if wrong:
            raise ExportError(f"{folder} was changed after its export: {'; '.join(wrong)}; export the model again")


def sha256(path: Path) -> str:
    """The SHA-256 digest of the file at `path`, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def describe_files(folder: Path, purposes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The manifest's `files` entry: for each file of `folder` named in `purposes`, its hash, size and purpose."""
    return {
        name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size, "for": purpose}
        for name, purpose in purposes.items()
    }
