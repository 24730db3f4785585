"""Any two recordings against each other."""

from __future__ import annotations

from pathlib import Path

from parity.errors import RecordingError, UsageError
from parity.judge.difference import diff
from parity.recording.recording import PACKAGED, SUFFIXES, Recording, discover
from parity.results import CaseResult


def open_recording(given: str) -> Recording:
    """A recording by its file, or a packaged one by its name or the last part of it. Raises `UsageError`."""
    path = Path(given)
    for suffix in SUFFIXES:
        if given.endswith(suffix):
            if not path.is_file():
                raise UsageError(f"there is no file {path}")
            return Recording(given.removesuffix(suffix), path)
    named = [r for r in discover(PACKAGED) if r.name == given or r.name.endswith(f"/{given}")]
    if len(named) != 1:
        which = "are " + ", ".join(r.name for r in named) if named else "is none"
        raise UsageError(
            f"{given!r} is neither a recording's file (*.safetensors) nor the name of one packaged recording: of that "
            f"name there {which}"
        )
    return named[0]


def compare_recordings(a: Recording, b: Recording) -> list[CaseResult]:
    """What `diff` finds; of two recordings of SHA-RNN also what either is against the port."""
    if all(_is_of_a_known_program(r) for r in (a, b)):
        from parity.sharnn.pair import pair

        return pair(a, b)
    return [diff(a, b)]


def _is_of_a_known_program(recording: Recording) -> bool:
    if recording.is_data or "param/projection.w" in recording.tensors:
        return False
    try:
        return bool(recording.program)
    except RecordingError:
        return False
