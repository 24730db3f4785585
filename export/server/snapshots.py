"""States that were saved for good, in a folder."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from export.server.problems import Problem
from export.serving.engine import Engine
from sharnn_py.errors import SharnnError
from sharnn_py.files import write_bytes
from sharnn_py.scratch import new_folder

R = TypeVar("R")
_NAME = re.compile(r"[0-9a-f]{32}")
_INCOMING = "incoming-"


class Snapshots:
    """The snapshots in a folder: each a file of the common format, written whole or not at all.

    Servers of one model may share the folder: what one has saved, another goes on from. What touches the engine is to
    be called on its thread.
    """

    def __init__(self, folder: Path, engine: Engine) -> None:
        """Raises `OSError` if the folder cannot be made or written to."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._engine = folder, engine
        # Removes what a server that was killed while it received a snapshot has left there.
        self._incoming, self.remove = new_folder(folder, _INCOMING)

    def save(self, sequence: int) -> tuple[str, int]:
        """Save the state of a sequence; the snapshot's id and size. It stays from now on, whatever happens."""
        return self._new(lambda path: self._engine.save_state(sequence, path))

    def receive(self, data: bytes) -> tuple[str, int]:
        """Keep a snapshot that comes from elsewhere. Raises `InputError` and `CheckpointError` if it is not a state of
        one sequence of this model."""
        arrived = self._incoming / secrets.token_hex(16)
        write_bytes(arrived, data)
        try:
            self._engine.close(_named(arrived, self._engine.open))
            return self._new(lambda path: os.replace(arrived, path))
        finally:
            arrived.unlink(missing_ok=True)

    def use(self, snapshot: str, read: Callable[[Path], R]) -> R:
        """What `read` returns of the file of a snapshot. Raises what it raises, and what `path` raises."""
        return _named(self.path(snapshot), read)

    def path(self, snapshot: str) -> Path:
        """The file of a snapshot. Raises `Problem` 404 if there is none of that id."""
        path = self._folder / f"{snapshot}.safetensors"
        if not _NAME.fullmatch(snapshot) or not path.is_file():
            raise Problem(404, f"there is no snapshot {snapshot[:64]!r}")
        return path

    def all(self) -> list[tuple[str, int]]:
        """The id and size of every snapshot, the newest last."""
        found = []
        for path in self._folder.glob("*.safetensors"):
            if _NAME.fullmatch(path.stem):
                about = path.stat()
                found.append((about.st_mtime_ns, path.stem, about.st_size))
        return [(name, size) for _, name, size in sorted(found)]

    def delete(self, snapshot: str) -> None:
        """Remove a snapshot. Raises `Problem` 404 if there is none of that id."""
        self.path(snapshot).unlink(missing_ok=True)
        self._written()

    def _new(self, write: Callable[[Path], object]) -> tuple[str, int]:
        name = secrets.token_hex(16)
        path = self._folder / f"{name}.safetensors"
        write(path)
        self._written()
        return name, path.stat().st_size

    def _written(self) -> None:
        """Have the folder's list of files on the disk as well, for when the power fails."""
        if os.name == "posix":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _named(path: Path, read: Callable[[Path], R]) -> R:
    """What `read` returns. Its errors do not tell clients where the server keeps its files."""
    try:
        return read(path)
    except SharnnError as error:
        raise Problem(400, str(error).replace(str(path), "the snapshot")) from error
