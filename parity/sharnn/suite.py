"""Running recordings against the port."""

import reprlib
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parity.errors import UsageError, suggestion
from parity.judge.case import compare_case
from parity.measure import Measure, measure_rounded
from parity.processes import spread
from parity.recording.library import PACKAGED, discover, named
from parity.recording.recording import Recording
from parity.results import CaseResult, Comparison, SuiteResult, Verdict
from parity.sharnn.block_numbers import as_recorded
from parity.sharnn.coverage import not_run
from parity.sharnn.data_pipeline import Entry, replay_data
from parity.sharnn.environment import environment
from parity.sharnn.header import DATA_PROVENANCE, program_of
from parity.sharnn.known import known
from parity.sharnn.skipped import reason
from parity.sharnn.subject import PortOf
from parity.tolerance import UNIT
from sharnn_py.config import PRESETS
from sharnn_py.errors import SharnnError

Progress = Callable[[CaseResult], None]


def select(recordings: Sequence[Recording], semantics: str, names: Sequence[str]) -> list[Recording]:
    """The recordings asked for.

    `names` are recordings' names or last parts of them, or patterns of either (`*longseg`); none means all.
    `semantics` 'julia' or 'paper' keeps the recordings of that program. Where only recordings of the other program
    have a given name, those are taken, to be run under semantics that are not theirs. Raises `UsageError` naming what
    does not exist.
    """
    chosen: list[Recording] = []
    for name in names:
        found = named(recordings, name)
        if not found:
            raise UsageError(f"there is no case {name!r}; {suggestion(name, [r.name for r in recordings], 'cases')}")
        own = [r for r in found if semantics == "all" or program_of(r) == semantics]
        chosen += [r for r in own or found if r not in chosen]
    if names:
        return chosen
    kept = [r for r in recordings if semantics == "all" or program_of(r) == semantics]
    if not kept:
        raise UsageError(
            f"no recording here is of the program with {semantics} semantics; to run one of the other program under "
            f"{semantics} semantics, name it with --case"
        )
    return kept


def run(
    references: Path | None = None,
    semantics: str = "all",
    cases: Sequence[str] = (),
    flip: Sequence[str] = (),
    progress: Progress | None = None,
    processes: int = 1,
    live: Iterable[Recording] = (),
) -> SuiteResult:
    """Compare the port with every recording in folder `references`, by default the packaged ones, and with `live`.

    `semantics` is 'all', every recording under its own program's, or 'julia' or 'paper' (see `select`). `flip`
    names switches of `Semantics` to flip. With `processes` above 1 the cases are shared out among as
    many fresh interpreters, so the caller's main module must be safe to import. Raises `UsageError`; a recording
    that cannot be run becomes a result with a `problem`.
    """
    if semantics not in ("all", *PRESETS):
        raise UsageError(f"semantics is {semantics!r}; it must be julia, paper or all")
    for preset in PRESETS.values():
        preset.flipped(*flip)
    chosen = select(discover(references or PACKAGED), semantics, cases) + list(live)
    return run_chosen(chosen, semantics, flip, progress, processes)


def run_chosen(
    chosen: Sequence[Recording],
    semantics: str = "all",
    flip: Sequence[str] = (),
    progress: Progress | None = None,
    processes: int = 1,
    fail_fast: bool = False,
) -> SuiteResult:
    """`run` of these recordings. With `fail_fast` none is begun after the first that does not agree."""
    start = time.perf_counter()
    results: list[CaseResult] = []
    with closing(spread(partial(run_case, semantics=semantics, flip=flip), chosen, processes)) as found:
        for result in found:
            results.append(result)
            if progress is not None:
                progress(result)
            if fail_fast and not result:
                break
    notes = [not_run(chosen[: len(results)], results)] if results else []
    if left := len(chosen) - len(results):
        notes.append(f"stopped at the first that does not agree: {left} of {len(chosen)} recordings were not run")
    return SuiteResult(results, environment(), time.perf_counter() - start, notes)


def run_case(recording: Recording, semantics: str = "all", flip: Sequence[str] = ()) -> CaseResult:
    """Compare the port with one recording."""
    start = time.perf_counter()
    label = semantics
    try:
        reference = program_of(recording)
        computed = reference if semantics == "all" else semantics
        label = ", ".join([computed, *(f"{row} flipped" for row in flip)])
        if recording.is_data:
            return _data_case(recording, label)
        subject = PortOf(PRESETS[computed].flipped(*flip), f"the port under {label}")
        result = compare_case(recording, subject, reference, partial(reason, recording=recording))
        comparisons = [as_recorded(c, reference) for c in result.comparisons]
        differences = known(comparisons, reference, PRESETS[reference], subject.semantics)
        return replace(result, comparisons=comparisons, known=differences, subject=label)
    except SharnnError as error:
        seconds = time.perf_counter() - start
        return CaseResult(recording.name, "unknown", label, 0, [], {}, seconds, problem=str(error))


def _data_case(recording: Recording, label: str) -> CaseResult:
    start = time.perf_counter()
    entries = list(replay_data(recording))
    return CaseResult(
        recording.name,
        program_of(recording),
        label,
        len(entries),
        [_compare_entry(entry) for entry in entries],
        {},
        time.perf_counter() - start,
        {**DATA_PROVENANCE, **recording.provenance},
        compared_names=frozenset(entry.name for entry in entries),
    )


def first_difference(recorded: Any, port: Any, at: str = "") -> str:
    """Where two unequal values first part, and what each has there."""
    if isinstance(recorded, (list, tuple)) and isinstance(port, (list, tuple)):
        if len(recorded) != len(port):
            return f"{at or 'it'} has {len(recorded):,} entries recorded, {len(port):,} in the port"
        for i, (theirs, ours) in enumerate(zip(recorded, port, strict=True)):
            if theirs != ours:
                return first_difference(theirs, ours, f"{at}[{i}]")
    return f"{f'at {at}: ' if at else ''}recorded {reprlib.repr(recorded)}, the port has {reprlib.repr(port)}"


def _compare_entry(entry: Entry) -> Comparison:
    if isinstance(entry.port, np.ndarray):
        port, recorded = torch.from_numpy(entry.port), torch.from_numpy(entry.recorded)
        measure, exact, shape = measure_rounded(recorded, port, [port], unit=UNIT[torch.float64]), False, port.shape
    else:
        agrees = entry.recorded == entry.port
        measure = Measure(agrees, "" if agrees else first_difference(entry.recorded, entry.port))
        exact, shape = True, torch.Size()
    verdict: Verdict = "agrees" if measure.agrees else "wrong"
    return Comparison(entry.name, entry.name, "data", entry.name, None, exact, tuple(shape), measure, measure, verdict)
