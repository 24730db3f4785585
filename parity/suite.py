"""Running recordings against the port."""

from __future__ import annotations

import multiprocessing
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from parity.compare import Comparison, compare_exact, compare_rounded
from parity.errors import RecordingError, UsageError
from parity.recording import PACKAGED, Recording, discover
from parity.replay import Item, Precision
from parity.replay.baseline import replay_baseline
from parity.replay.data import Entry, replay_data
from parity.replay.left_out import reason
from parity.replay.model import replay
from parity.replay.training import replay_training
from parity.results import CaseResult, SuiteResult
from parity.tolerance import ROUNDING_RUNS, UNIT
from sharnn_py.config import PRESETS, Semantics
from sharnn_py.errors import SharnnError

TRUTH = Precision(torch.float64)
ROUNDED = [Precision(torch.float32, nudged=run) for run in range(ROUNDING_RUNS)]

REQUIRED_GROUPS = {"param"}
"""Of the groups of tensors in a recording; the others may be absent as a whole."""

Progress = Callable[[CaseResult], None]


def select(recordings: Sequence[Recording], semantics: str, names: Sequence[str]) -> list[Recording]:
    """The recordings asked for.

    `names` are recordings' names or last parts of them; none means all. `semantics` 'julia' or 'paper' keeps the
    recordings of that program, unless only the other program's bear a given name: then those are taken, to be run
    under semantics that are not theirs. Raises `UsageError` naming what does not exist.
    """
    chosen = []
    for name in names:
        named = [r for r in recordings if r.name == name or r.name.endswith("/" + name)]
        if not named:
            known = ", ".join(r.name for r in recordings)
            raise UsageError(f"there is no case {name!r}; the cases are {known}")
        own = [r for r in named if semantics == "all" or r.program == semantics]
        chosen += [r for r in own or named if r not in chosen]
    if names:
        return chosen
    kept = [r for r in recordings if semantics == "all" or r.program == semantics]
    if not kept:
        raise UsageError(
            f"no recording here is of the program with {semantics} semantics; to run one of the other program under "
            f"{semantics} semantics, name it with --case"
        )
    return kept


def run(
    references: Path = PACKAGED,
    semantics: str = "all",
    cases: Sequence[str] = (),
    flip: Sequence[str] = (),
    progress: Progress | None = None,
    processes: int = 1,
    live: Iterable[Recording] = (),
) -> SuiteResult:
    """Hold the port against every recording asked for, and those of `live`.

    `semantics` is 'all', every recording under its own program's, or 'julia' or 'paper' (see `select`). `flip`
    names switches of `Semantics` to turn the other way. With `processes` above 1 the cases are shared out among as
    many fresh interpreters, so the caller's main module must be safe to import. Raises `UsageError`; a recording
    that cannot be run becomes a result with a `problem`.
    """
    if semantics not in ("all", *PRESETS):
        raise UsageError(f"semantics is {semantics!r}; it must be julia, paper or all")
    for preset in PRESETS.values():
        preset.flipped(*flip)
    start = time.perf_counter()
    chosen = select(discover(references), semantics, cases) + list(live)
    results = []
    for result in _run_all(chosen, partial(run_case, semantics=semantics, flip=flip), processes):
        results.append(result)
        if progress is not None:
            progress(result)
    return SuiteResult(results, environment(), time.perf_counter() - start)


def _run_all(
    recordings: Sequence[Recording], case: Callable[[Recording], CaseResult], processes: int
) -> Iterator[CaseResult]:
    if processes == 1 or len(recordings) == 1:
        yield from map(case, recordings)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(recordings)), mp_context=context) as pool:
        yield from pool.map(case, recordings)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing from threads, and on a busy machine lose tenfold by waiting for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def run_case(recording: Recording, semantics: str = "all", flip: Sequence[str] = ()) -> CaseResult:
    """Hold the port against one recording."""
    start = time.perf_counter()
    program, label, recorded, provenance, problem = "unknown", semantics, 0, {}, ""
    comparisons: list[Comparison] = []
    left_out: dict[str, str] = {}
    try:
        provenance = recording.metadata
        program = recording.program
        computed = program if semantics == "all" else semantics
        label = ", ".join([computed, *(f"{row} flipped" for row in flip)])
        if recording.is_data:
            entries = list(replay_data(recording))
            recorded = len(entries)
            comparisons = [_compare_entry(entry) for entry in entries]
        else:
            recorded = len(recording.tensors)
            for comparison in compare(recording, PRESETS[computed].flipped(*flip)):
                comparisons.append(comparison)
            compared = {c.name for c in comparisons}
            left_out = {name: reason(name, recording) for name in recording.tensors if name not in compared}
    except SharnnError as error:
        problem = str(error)
    return CaseResult(
        recording.name,
        program,
        label,
        recorded,
        comparisons,
        left_out,
        time.perf_counter() - start,
        provenance,
        problem,
    )


def _streams(recording: Recording, semantics: Semantics, precision: Precision) -> Iterator[Item]:
    if "param/projection.w" in recording.tensors:
        yield from replay_baseline(recording, precision)
        return
    yield from replay(recording, semantics, precision)
    yield from replay_training(recording, semantics, precision)


def compare(recording: Recording, semantics: Semantics) -> Iterator[Comparison]:
    """Every comparison of a recorded model with the port under `semantics`, in order of computation.

    If the port itself stops with an error, that is the last and a diverging one. Raises `SharnnError` for a
    recording that cannot be replayed.
    """
    last = ""
    try:
        for comparison in _compare_streams(recording, semantics):
            last = comparison.name
            yield comparison
    except SharnnError:
        raise
    except Exception as error:
        problem = f"the port stopped with {type(error).__name__}: {error}"
        yield Comparison(f"after {last or 'nothing'}", "", "the port", False, False, (), problem)


def _compare_streams(recording: Recording, semantics: Semantics) -> Iterator[Comparison]:
    streams = [_streams(recording, semantics, precision) for precision in (TRUTH, *ROUNDED)]
    groups = {name.split("/")[0] for name in recording.tensors} | REQUIRED_GROUPS
    for truth, *runs in zip(*streams, strict=True):
        if truth.name.split("/")[0] not in groups:
            continue
        recorded = recording.tensors.get(truth.name)
        if recorded is None:
            yield _unrecorded(recording, truth)
        elif truth.exact:
            yield compare_exact(truth.name, recorded, runs[0].tensor, run=truth.run, where=truth.where)
        else:
            rounded = [item.tensor for item in runs]
            yield compare_rounded(truth.name, recorded, truth.tensor, rounded, run=truth.run, where=truth.where)


def _unrecorded(recording: Recording, item: Item) -> Comparison:
    """What the port has and the recording has not: a fault of the file, unless the program has no such parameter."""
    if item.name == "param/decoder.bias" and recording.program == "julia":
        problem = "only the port has this: SHA-RNN.jl's tied decoder has no bias"
        return Comparison(item.name, item.run, item.where, item.exact, False, tuple(item.tensor.shape), problem)
    raise RecordingError(f"{recording.path}: tensor {item.name} is missing")


def _compare_entry(entry: Entry) -> Comparison:
    if isinstance(entry.port, np.ndarray):
        port, recorded = torch.from_numpy(entry.port), torch.from_numpy(entry.recorded)
        return compare_rounded(entry.name, recorded, port, [port], unit=UNIT[torch.float64])
    agrees = entry.recorded == entry.port
    problem = "" if agrees else f"recorded {entry.recorded!r}, the port has {entry.port!r}"
    return Comparison(entry.name, "", "data", True, agrees, (), problem)


def environment() -> dict[str, str]:
    """Versions and settings that a result depends on."""
    return {
        "sharnn": version("sharnn"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "rounding runs": str(ROUNDING_RUNS),
    }
