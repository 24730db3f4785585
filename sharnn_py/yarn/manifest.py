"""What an index is of, in its folder's `yarn.json`: the model, the texts, and which tables are the ones to search.

The file is replaced as a whole, and last: an index is what its `yarn.json` says, whatever else lies in the folder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sharnn_py.files import write_text
from sharnn_py.yarn.errors import IndexFolderError

NAME = "yarn.json"
FORMAT = "sharnn yarn 1"


@dataclass
class Source:
    """A text of the index, as it was when reading it began."""

    name: str
    """What results call it: the file's name, with its folder where two have the same."""
    path: str
    """The file, as an absolute path."""
    sha256: str
    """The SHA-256 of the file, in hexadecimal."""
    bytes: int
    """How long it is."""
    phrases: int
    """How many phrases it is cut into."""
    whole: bool = False
    """Whether all of it has been read."""


@dataclass
class Manifest:
    """The contents of `yarn.json`."""

    model: str
    """The identity of the model (`sharnn_py.identity`)."""
    folder: str
    """The model's checkpoint or export, as an absolute path."""
    vocabulary: str
    """The identity of the model's vocabulary."""
    cut: str
    """What the texts are cut by (`sharnn_py.yarn.cutting.cut`)."""
    segment: int
    """Tokens per segment."""
    blocks: list[int]
    """The widths of the parts of a pooled vector."""
    sources: list[Source] = field(default_factory=list)
    """The texts, in the order in which they were given."""
    edition: int = 0
    """The number of the tables to search; 0 while there are none."""
    published: list[str] = field(default_factory=list)
    """The SHA-256 of every text that this edition has."""

    def save(self, folder: Path) -> None:
        """Replace `folder`'s file. Raises `OSError`."""
        write_text(folder / NAME, json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """The manifest of the index in `folder`. Raises `IndexFolderError` if there is none, or it is damaged."""
        path = folder / NAME
        if not path.exists():
            raise IndexFolderError(f"{folder} is no index: it has no {NAME}; make one with: sharnn yarn index")
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format") != FORMAT:
                raise IndexFolderError(f"{path} is not of the format {FORMAT!r}; another version of sharnn wrote it")
            return cls(**{**values, "sources": [Source(**source) for source in values["sources"]]})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IndexFolderError(f"{path} is damaged ({error}); index the texts anew") from error

    def require_model(self, identity: str, folder: Path) -> None:
        """Raise `IndexFolderError` unless the model of this identity is the one that the index is of."""
        if identity != self.model:
            raise IndexFolderError(
                f"{folder} is an index of another model: its vectors are of {self.model[:12]}…, of {self.folder}, and "
                f"those of {identity[:12]}… mean something else; give that model, or another folder for the index"
            )

    def require_whole(self, folder: Path) -> None:
        """Raise `IndexFolderError` unless there is something to search."""
        if not self.edition:
            raise IndexFolderError(f"{folder} is not finished; give the same sharnn yarn index command again")


def digest(data: bytes) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
