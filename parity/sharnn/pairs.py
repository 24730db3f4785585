"""Any two recordings against each other."""

from dataclasses import replace

from parity.errors import RecordingError
from parity.judge.case import compare_case
from parity.judge.difference import diff
from parity.recording.recording import Recording
from parity.results import CaseResult
from parity.sharnn.block_numbers import as_in_the_port, as_recorded
from parity.sharnn.header import is_baseline, program_of
from parity.sharnn.known import known
from parity.sharnn.subject import PortOf
from parity.sharnn.translate import translated
from sharnn_py.config import PRESETS


def compare_recordings(a: Recording, b: Recording) -> list[CaseResult]:
    """What `diff` finds; for two recordings of SHA-RNN also how each of them compares with the port."""
    if all(_is_of_a_known_program(r) for r in (a, b)):
        return _of_known_programs(a, b)
    return [diff(a, b)]


def _is_of_a_known_program(recording: Recording) -> bool:
    if recording.is_data or is_baseline(recording):
        return False
    try:
        return bool(program_of(recording))
    except RecordingError:
        return False


def _of_known_programs(a: Recording, b: Recording) -> list[CaseResult]:
    """`a` against `b` by the port's names, each of either program, and layer by layer on the same inputs.

    What `b`'s program does to `a`'s inputs is what the port does under its semantics, as far as the port agrees with
    `b`. So both recordings are first compared with the port under their own semantics, which also measures what
    rounding explains, and these results come first. Raises `RecordingError` for a recording that cannot be run.
    """
    programs = program_of(a), program_of(b)
    own = [
        compare_case(r, PortOf(PRESETS[program], f"the port under {program}"), program)
        for r, program in zip((a, b), programs, strict=True)
    ]
    (ours, names_of_a), (theirs, names_of_b) = translated(a), translated(b)
    tolerance = [{c.recorded: c.end_to_end.tolerance for c in result.comparisons} for result in own]
    tolerances = {
        name: tolerance[0].get(names_of_a[name], 0.0) + tolerance[1].get(names_of_b[name], 0.0)
        for name in names_of_a.keys() & names_of_b.keys()
        if all(own)
    }
    isolated = {}
    if all(own):
        # What only one recording has is compared with nothing, so what is wrong there must show in what comes after.
        both = frozenset(names_of_a[name] for name in names_of_a.keys() & names_of_b.keys())
        port = PortOf(PRESETS[programs[1]], f"the port under {programs[1]}, as {b.name}", taken=both)
        there = compare_case(a, port, programs[0])
        by_name = {c.name: c for c in there.comparisons if not c.exact}
        isolated = {
            name: as_in_the_port(by_name[theirs], programs[0])
            for name, theirs in names_of_a.items()
            if theirs in by_name
        }
    result = diff(ours, theirs, tolerances, isolated)
    differences = known(result.comparisons, "port", *(PRESETS[program] for program in programs))
    own = [
        replace(r, comparisons=[as_recorded(c, p) for c in r.comparisons]) for r, p in zip(own, programs, strict=True)
    ]
    return [*own, replace(result, known=differences)]
