"""Rows 1 to 5: both programs on the weights and segments of a recording, switched over row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from parity.recording.library import is_packaged
from parity.sharnn.attribution import endpoints
from parity.sharnn.attribution.contributions import Switched, contributions, problems
from parity.sharnn.attribution.outputs import Outputs, Run, change
from parity.sharnn.attribution.recorded import RecordedRun
from parity.sharnn.attribution.results import Case, End, Kind
from parity.sharnn.attribution.watch import Watch, keep_in, nothing, under
from parity.sharnn.ledger.entry import FORWARD_SWITCHES
from parity.sharnn.ledger.ledger import Entry, Ledger
from sharnn_py.config import JULIA, PAPER
from sharnn_py.errors import ConfigError

Live = Callable[[RecordedRun], tuple[Outputs, str]]
"""What Julia computes, and what it is that ran (`parity.sharnn.attribution.endpoints.live`)."""


@dataclass(frozen=True)
class _Ran:
    julia: Outputs
    paper: Outputs
    rows: list[Switched]


def explain(recorded: RecordedRun, ledger: Ledger, live: Live | None) -> Case:
    """The whole difference between the programs at one recording.

    Raises `RecordingError` or `WeightsError` for a recording that does not hold what it should, `ConfigError` for a
    model that `julia` has not.
    """
    program = recorded.program
    kind: Kind = "packaged" if is_packaged(recorded.recording) else "given"
    entries = [entry for entry in ledger.entries if entry.switch in FORWARD_SWITCHES]
    ran = _run(recorded, entries)
    held = endpoints.measures(
        endpoints.recorded_outputs(recorded),
        ran.julia if program == "julia" else ran.paper,
        endpoints.float32_runs(recorded, program),
    )
    notes = _notes(recorded, entries)
    here = endpoints.end(program, "the recording", held)
    other = End("paper" if program == "julia" else "julia", "the port", 0.0)
    twin = endpoints.twin(recorded)
    if twin is not None:
        outputs, runs = endpoints.recorded_outputs(twin), endpoints.float32_runs(recorded, "julia")
        other = endpoints.end(
            "julia", f"the recording {twin.recording.name}", endpoints.measures(outputs, ran.julia, runs)
        )
    elif live is not None and other.program == "julia":
        try:
            outputs, label = live(recorded)
        except ConfigError as error:
            notes.append(f"Julia has no such model, so the port stands for it: {error}")
        else:
            measured = endpoints.measures(outputs, ran.julia, endpoints.float32_runs(recorded, "julia"))
            other = endpoints.end("julia", label, measured)
    total = change(ran.paper, ran.julia)
    found = contributions(kind, ran.julia, ran.paper, ran.rows, recorded.config(JULIA))
    return Case(
        name=recorded.recording.name,
        total=total,
        loss=(ran.julia.loss, ran.paper.loss),
        rms=ran.julia.rms,
        rounding=endpoints.unit(held),
        ends=(here, other) if program == "julia" else (other, here),
        contributions=found,
        problems=problems(kind, total, found, entries, FORWARD_SWITCHES),
        notes=tuple(notes),
    )


def _run(recorded: RecordedRun, entries: list[Entry]) -> _Ran:
    """All runs go through the segments side by side, so that no more than one segment's intermediates are held."""
    switches = [entry.switch for entry in entries]
    alone = [JULIA.flipped(switch) for switch in switches]
    added = [JULIA.flipped(*switches[: i + 1]) for i in range(len(switches))]
    runs = {semantics: Run(recorded.port(semantics)) for semantics in dict.fromkeys((JULIA, *alone, *added, PAPER))}
    base: dict[str, Tensor] = {}
    watches = {semantics: Watch(base) for semantics in alone}
    for number, (tokens, targets) in enumerate(recorded.segments, start=1):
        prefix = f"eval/{number}/"
        base.clear()
        for semantics, run in runs.items():  # JULIA, which fills `base`, is the first
            listener = keep_in(base) if semantics == JULIA else watches.get(semantics, nothing)
            run.segment(tokens, targets, under(prefix, listener))
    rows = [
        Switched(entry, runs[one].outputs, runs[many].outputs, watches[one].first)
        for entry, one, many in zip(entries, alone, added, strict=True)
    ]
    return _Ran(runs[JULIA].outputs, runs[PAPER].outputs, rows)


def _notes(recorded: RecordedRun, entries: list[Entry]) -> list[str]:
    config = recorded.config(PAPER)
    if config.tied and "decoder.bias" not in recorded.weights and any(e.switch == "tied_bias" for e in entries):
        return ["these weights have no decoder bias, so paper's is 0 and row 5 does nothing here"]
    return []
