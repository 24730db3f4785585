"""`sharnn parity explain`: which recordings, and everything that is made of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from julia_bridge import Worker, ensure
from julia_bridge.sharnn.model import Source
from julia_bridge.sharnn.upstream import UpstreamError, model_source
from parity.errors import RecordingError, UsageError
from parity.recording.recording import PACKAGED, Recording, discover
from parity.sharnn.attribution import endpoints, forward, training
from parity.sharnn.attribution.recorded import RecordedRun, why_not
from parity.sharnn.attribution.results import AS_RUN, Case, Explanation
from parity.sharnn.ledger.ledger import Ledger, load
from parity.threads import one_thread
from sharnn_py.errors import InputError, SharnnError

Say = Callable[[str], None]

CASES = (
    "sha_rnn_jl/L2_longseg",
    "sha_rnn_jl/L4_h2_untied_b2",
    "smerity/jl_L4_longseg",
    "smerity/jl_L2_h2_untied_b3",
    "smerity/L2_exact_cap",
    "smerity/L4_h2_tied_b3",
    "smerity/L4_wide_boom",
)
"""Explained where no other is asked for: of both programs, and every row of a forward pass shows in them."""
CALL_LIMIT = 600.0
"""Seconds that one segment may take in Julia; the first one compiles."""


def explain(
    names: Sequence[str] = (),
    references: Path | None = None,
    live: bool = False,
    ledger: Ledger | None = None,
    say: Say = lambda words: None,
) -> Explanation:
    """Attribute the whole difference between both programs to the rows of the ledger.

    `names` are recordings' names, or last parts of them; without any, `CASES`, or all of the folder `references`.
    With `live`, Julia itself computes the julia end of Smerity's recordings. Raises `UsageError` for a name that there
    is not, `RecordingError` for a recording that cannot be read or says nothing of the rows, `LedgerError`, and
    with `live` what `Worker` raises.
    """
    start = time.perf_counter()
    ledger = ledger or load()
    chosen, skipped = _choose(discover(references or PACKAGED), names, references is None)
    with one_thread(), _julia(live and any(r.program == "paper" for r in chosen), say) as julia:
        cases: list[Case] = []
        for recording in chosen:
            say(f"explaining {recording.name}")
            cases.append(_or_stopped(recording.name, partial(forward.explain, RecordedRun(recording), ledger, julia)))
        say("explaining both programs as they are run")
        cases.append(_or_stopped(AS_RUN, partial(training.explain, ledger)))
    return Explanation(tuple(cases), skipped, ledger.version, time.perf_counter() - start)


def _choose(
    recordings: Sequence[Recording], names: Sequence[str], packaged: bool
) -> tuple[list[Recording], dict[str, str]]:
    """The recordings asked for, and those left out of what was not asked for by name, with the reasons."""
    chosen: dict[str, Recording] = {}
    for name in names or (CASES if packaged else ()):
        named = [r for r in recordings if r.name == name or r.name.endswith("/" + name)]
        if not named:
            raise UsageError(f"there is no case {name!r}; the cases are {', '.join(r.name for r in recordings)}")
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


def _or_stopped(name: str, explained: Callable[[], Case]) -> Case:
    """The case; where a faulty port stops with an error, one that is not explained."""
    try:
        return explained()
    except Exception as error:
        # What is given to the port was checked, so a state that it refuses is one that it made.
        if isinstance(error, SharnnError) and not isinstance(error, InputError):
            raise
        return Case.stopped(name, error)


@contextmanager
def _julia(wanted: bool, say: Say) -> Iterator[forward.Live | None]:
    """Live Julia, if it is wanted: SHA-RNN.jl itself where its source can be had, else the reference statement."""
    if not wanted:
        yield None
        return
    ensure(say)
    source: Source = "upstream"
    try:
        model_source()
    except UpstreamError as error:
        say(f"SHA-RNN.jl itself is not run, only the reference statement of its semantics: {error}")
        source = "reference"
    with Worker(timeout=CALL_LIMIT) as worker:
        yield lambda recorded: endpoints.live(recorded, source, worker)
