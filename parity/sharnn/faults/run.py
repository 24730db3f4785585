"""Planting faults, one at a time, in an otherwise sound process, and comparing each with its recording."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from parity.errors import UsageError, suggestion
from parity.processes import spread
from parity.recording.library import find
from parity.recording.recording import Recording
from parity.sharnn.faults.controls import judge_control
from parity.sharnn.faults.fault import Fault
from parity.sharnn.faults.plant import PlantError, planted
from parity.sharnn.faults.results import Control, FaultsResult, Outcome
from parity.sharnn.suite import run_case

Given = TypeVar("Given")
Found = TypeVar("Found", Outcome, Control)


def select(faults: Sequence[Fault], names: Sequence[str]) -> list[Fault]:
    """The faults named, or all. Raises `UsageError` for an unknown name, and if there are no faults."""
    known = {fault.name: fault for fault in faults}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no fault {name!r}; {suggestion(name, list(known), 'faults')}")
    chosen = [known[name] for name in dict.fromkeys(names)] if names else list(faults)
    if not chosen:
        raise UsageError("there are no faults to plant")
    return chosen


def run(
    faults: Sequence[Fault],
    seeds: Sequence[int] = (),
    progress: Callable[[Outcome | Control], None] = lambda found: None,
    processes: int = 1,
) -> FaultsResult:
    """Plant `faults` one after the other, then judge the control of every seed.

    With `processes` above 1 they are shared out among as many fresh interpreters, so the caller's main module must be
    safe to import. Raises `UsageError` if there are no faults.
    """
    if not faults:
        raise UsageError("there are no faults to plant")
    start = time.perf_counter()
    outcomes = list(_each(plant, faults, progress, processes))
    cases = list(_each(judge_control, seeds, progress, processes))
    return FaultsResult(outcomes, cases, time.perf_counter() - start)


def _each(
    do: Callable[[Given], Found], given: Sequence[Given], progress: Callable[[Found], None], processes: int
) -> Iterator[Found]:
    for result in spread(do, given, processes):
        progress(result)
        yield result


def plant(fault: Fault, recording: Recording | None = None) -> Outcome:
    """Plant one fault in this process, run `recording`, by default the fault's own, and take it out again.

    Raises `PlantError`.
    """
    start = time.perf_counter()
    recording = recording or find(fault.recording)
    try:
        with planted(fault.change):
            case = run_case(recording)
    except PlantError:
        raise
    except Exception as error:  # the suite must live through any fault; where it does not, it has not caught it
        problem = f"the suite stopped with {type(error).__name__}: {error}"
        return Outcome(fault, None, (), 0.0, 0, 0, time.perf_counter() - start, problem)
    first, seconds = case.first, time.perf_counter() - start
    if first is None:
        return Outcome(fault, None, (), 0.0, 0, 0, seconds, case.problem)
    description = tuple(hint.description for hint in first.hints) or (first.own.problem,)
    return Outcome(fault, first.name, description, first.own.units, len(case.wrong), len(case.inherited), seconds)
