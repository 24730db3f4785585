"""Finding recordings: those of a folder, the packaged ones, and one by its file or its name."""

from collections.abc import Sequence
from pathlib import Path

from parity.errors import RecordingError, UsageError, suggestion
from parity.recording.files import PACKAGED, SUFFIXES, name_matches, paths, stem
from parity.recording.recording import Recording

__all__ = ["PACKAGED", "SUFFIXES", "discover", "find", "is_packaged", "named", "open"]


def open(path: str | Path, name: str | None = None) -> Recording:
    """The recording in a file (.safetensors, or compressed as .safetensors.xz), named after it unless told otherwise.

    Its tensors are read when they are used. Raises `UsageError` if there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    return Recording(stem(path.name) if name is None else name, path)


def discover(folder: str | Path) -> list[Recording]:
    """Every recording in a folder and its subfolders, sorted by name: its path in the folder, without the suffix.

    Raises `UsageError` if there is no such folder, `RecordingError` if it holds no recording.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of recordings")
    found = paths(folder)
    if not found:
        raise RecordingError(f"{folder} holds no recordings: no file ends in {' or '.join(SUFFIXES)}")
    return [Recording(name, path) for name, path in sorted(found)]


def is_packaged(recording: Recording) -> bool:
    """Whether a recording is one of those that come with the package."""
    return recording.path is not None and recording.path.resolve().is_relative_to(PACKAGED.resolve())


def named(recordings: Sequence[Recording], name: str) -> list[Recording]:
    """The recordings of this name, or with names that end in it after a slash; `*`, `?` and `[ab]` are patterns."""
    return [r for r in recordings if name_matches(r.name, name)]


def find(given: str) -> Recording:
    """One recording by its file, or a packaged one by its name or the last part of it. Raises `UsageError`."""
    if given.endswith(SUFFIXES):
        return open(given, name=stem(given))
    recordings = discover(PACKAGED)
    found = named(recordings, given)
    if len(found) != 1:
        which = "are " + ", ".join(r.name for r in found) if found else "is none"
        near = "" if found else f"; {suggestion(given, [r.name for r in recordings], 'names')}"
        raise UsageError(
            f"{given!r} is neither a recording's file (*.safetensors) nor the name of one packaged recording: of that "
            f"name there {which}{near}"
        )
    return found[0]
