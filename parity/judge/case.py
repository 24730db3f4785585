"""One recording held against one subject, as a result that every report is made from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from parity.diagnosis.case import diagnosed
from parity.judge.verdicts import judge
from parity.recording.recording import Recording
from parity.results import CaseResult
from parity.subject.subject import Subject

NOT_COMPUTED = "nothing of this name in what was held against it"
INPUT = "given to the subject as its input"


@contextmanager
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and on a busy machine lose tenfold by waiting for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def why_left_out(name: str) -> str:
    """Why a recorded tensor was not compared, as far as its name tells."""
    return INPUT if name.startswith("input/") else NOT_COMPUTED


@one_thread()
def compare_case(
    recording: Recording, subject: Subject, reference: str, why: Callable[[str], str] = why_left_out
) -> CaseResult:
    """Compare and diagnose. `reference` says whose recording it is, `why` why a tensor of it was left out.

    Raises `SharnnError` for a recording that cannot be run.
    """
    start = time.perf_counter()
    comparisons = diagnosed(recording, subject, judge(recording, subject))
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
