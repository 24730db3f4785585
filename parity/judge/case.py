"""One recording compared with one subject: the result that every report is made from."""

import time
from collections.abc import Callable
from dataclasses import replace

from parity.diagnosis.case import diagnosed
from parity.judge.verdicts import STOPPED, judge
from parity.recording.names import parse
from parity.recording.recording import Recording
from parity.results import CaseResult, Comparison, Hint
from parity.subject.subject import Subject
from parity.threads import one_thread

NOT_COMPUTED = "nothing of this name in what was compared with it"
INPUT = "given to the subject as its input"


def why_skipped(name: str) -> str:
    """Why a recorded tensor was not compared, as far as its name tells."""
    return INPUT if parse(name).group == "input" else NOT_COMPUTED


def with_arrangement(c: Comparison) -> Comparison:
    """A wrong tensor that nothing else explains, with how its recorded numbers stand, if they are the right ones."""
    if c.verdict != "wrong" or c.hints or not c.own.fits:
        return c
    description = f"the recorded tensor is the subject's with its axes in another order: {c.own.fits}"
    return replace(c, hints=(Hint(description, c.name, c.own.units, 0.0, "compared element by element"),))


@one_thread()
def compare_case(
    recording: Recording, subject: Subject, reference: str, why: Callable[[str], str] | None = None
) -> CaseResult:
    """Compare and diagnose. `reference` says whose recording it is, `why` why a tensor of it was skipped.

    Raises `SharnnError` for a recording that cannot be run.
    """
    why = why or why_skipped
    start = time.perf_counter()
    comparisons = [with_arrangement(c) for c in diagnosed(recording, subject, judge(recording, subject))]
    stopped = next((c for c in comparisons if c.name.startswith(STOPPED)), None)
    if stopped is not None:
        reached, why = why, lambda name: INPUT if reached(name) == INPUT else f"not reached: {subject.label} stopped"
    compared = frozenset(c.recorded for c in comparisons) & recording.tensors.keys()
    return CaseResult(
        recording.name,
        reference,
        subject.label,
        len(recording.tensors),
        comparisons,
        {name: why(name) for name in recording.tensors if name not in compared},
        time.perf_counter() - start,
        recording.provenance,
        compared_names=compared,
    )
