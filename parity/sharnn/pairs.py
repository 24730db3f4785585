"""Any two recordings against each other."""

from __future__ import annotations

from parity.errors import RecordingError
from parity.judge.difference import diff
from parity.recording.recording import Recording
from parity.results import CaseResult
from parity.sharnn.header import is_baseline, program_of


def compare_recordings(a: Recording, b: Recording) -> list[CaseResult]:
    """What `diff` finds; of two recordings of SHA-RNN also what either is against the port."""
    if all(_is_of_a_known_program(r) for r in (a, b)):
        from parity.sharnn.pair import pair

        return pair(a, b)
    return [diff(a, b)]


def _is_of_a_known_program(recording: Recording) -> bool:
    if recording.is_data or is_baseline(recording):
        return False
    try:
        return bool(program_of(recording))
    except RecordingError:
        return False
