"""`sharnn parity explain`: choosing the recordings, and explaining each of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from julia_bridge import Worker, ensure
from parity.errors import RecordingError
from parity.recording.library import PACKAGED, discover
from parity.recording.recording import Recording
from parity.sharnn.attribution import endpoints, forward, training
from parity.sharnn.attribution.recorded import RecordedRun, why_not
from parity.sharnn.attribution.results import TRAINING_RUN, Attribution, Explanation
from parity.sharnn.header import program_of
from parity.sharnn.ledger.ledger import Ledger, load
from parity.sharnn.live import CALL_LIMIT, sources
from parity.sharnn.suite import select
from parity.threads import one_thread
from sharnn_py.errors import InputError, SharnnError

Progress = Callable[[str], None]

CASES = (
    "sha_rnn_jl/L2_longseg",
    "sha_rnn_jl/L4_h2_untied_b2",
    "smerity/jl_L4_longseg",
    "smerity/jl_L2_h2_untied_b3",
    "smerity/L2_exact_cap",
    "smerity/L4_h2_tied_b3",
    "smerity/L4_wide_boom",
)
"""Recordings of both programs, explained unless others are asked for; every row of a forward pass shows in them."""


def explain(
    names: Sequence[str] = (),
    references: Path | None = None,
    live: bool = False,
    ledger: Ledger | None = None,
    progress: Progress = lambda words: None,
) -> Explanation:
    """Attribute the whole difference between both programs to the rows of the ledger.

    `names` are recordings' names, or last parts of them; without any, `CASES`, or all of the folder `references`.
    With `live`, Julia itself stands for SHA-RNN.jl at Smerity's recordings. `progress` is called with a line for each
    case. Raises `UsageError` for a name that does not exist, `RecordingError` for a recording that cannot be read or
    shows nothing of the rows, `LedgerError`, and with `live` `JuliaUnavailable` and what `Worker` raises.
    """
    start = time.perf_counter()
    ledger = ledger or load()
    chosen, skipped = _choose(discover(references or PACKAGED), names, references is None)
    with one_thread(), _julia(live and any(program_of(r) == "paper" for r in chosen), progress) as julia:
        cases: list[Attribution] = []
        for recording in chosen:
            progress(f"explaining {recording.name}")
            cases.append(_or_stopped(recording.name, partial(forward.explain, RecordedRun(recording), ledger, julia)))
        progress("explaining both programs as they are run")
        cases.append(_or_stopped(TRAINING_RUN, partial(training.explain, ledger)))
    return Explanation(tuple(cases), skipped, ledger.version, time.perf_counter() - start)


def _choose(
    recordings: Sequence[Recording], names: Sequence[str], packaged: bool
) -> tuple[list[Recording], dict[str, str]]:
    """The recordings asked for, and those of a folder that are skipped, with the reasons."""
    chosen: dict[str, Recording] = {}
    for name in names or (CASES if packaged else ()):
        named = select(recordings, "all", [name])
        reasons = {r.name: why_not(r) for r in named}
        if all(reasons.values()):
            raise RecordingError(f"{named[0].name} cannot be explained: {reasons[named[0].name]}")
        chosen |= {r.name: r for r in named if not reasons[r.name]}
    if chosen:
        return list(chosen.values()), {}
    reasons = {r.name: why_not(r) for r in recordings}
    skipped = {name: reason for name, reason in reasons.items() if reason}
    if len(skipped) == len(recordings):
        raise RecordingError(
            "there is nothing to explain: " + "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        )
    return [r for r in recordings if r.name not in skipped], skipped


def _or_stopped(name: str, explained: Callable[[], Attribution]) -> Attribution:
    """The case; where a faulty port stops with an error, one that is not explained."""
    try:
        return explained()
    except Exception as error:
        # What is given to the port was checked, so a state that it refuses is one that it made.
        if isinstance(error, SharnnError) and not isinstance(error, InputError):
            raise
        return Attribution.stopped(name, error)


@contextmanager
def _julia(wanted: bool, progress: Progress) -> Iterator[forward.RunJulia | None]:
    """Live Julia, if it is wanted: SHA-RNN.jl itself where its source can be had, else the reference statement."""
    if not wanted:
        yield None
        return
    ensure(progress)
    source, *_ = sources(None, progress)
    with Worker(timeout=CALL_LIMIT) as worker:
        yield lambda recorded: endpoints.live(recorded, source, worker)
