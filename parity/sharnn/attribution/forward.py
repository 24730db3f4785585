"""Rows 1 to 5: both programs on the weights and segments of a recording, one row switched at a time."""

from collections.abc import Callable

from torch import Tensor

from parity.recording.library import is_packaged
from parity.sharnn.attribution import endpoints
from parity.sharnn.attribution.contributions import FirstChangeFinder, RowOutputs, contributions, keep_in, problems
from parity.sharnn.attribution.outputs import Evaluation, Outputs, output_change
from parity.sharnn.attribution.recorded import RecordedRun
from parity.sharnn.attribution.results import Attribution, Endpoint, Origin
from parity.sharnn.ledger.entry import FORWARD_SWITCHES
from parity.sharnn.ledger.ledger import Entry, Ledger
from sharnn_py.config import JULIA, PAPER
from sharnn_py.errors import ConfigError
from sharnn_py.trace import passing, silent, within

RunJulia = Callable[[RecordedRun], tuple[Outputs, str]]
"""What Julia computes, and a label of what ran (`parity.sharnn.attribution.endpoints.live`)."""


def explain(recorded: RecordedRun, ledger: Ledger, live: RunJulia | None) -> Attribution:
    """The whole difference between the programs at one recording.

    Raises `RecordingError` or `WeightsError` for a recording that does not hold what it should, `ConfigError` for a
    model that `julia` cannot be.
    """
    program = recorded.program
    origin: Origin = "packaged" if is_packaged(recorded.recording) else "given"
    entries = [entry for entry in ledger.entries if entry.switch in FORWARD_SWITCHES]
    julia, paper, rows = _run(recorded, entries)
    measured = endpoints.measures(
        endpoints.recorded_outputs(recorded),
        julia if program == "julia" else paper,
        endpoints.float32_runs(recorded, program),
    )
    notes = _notes(recorded, entries)
    own = endpoints.endpoint(program, "the recording", measured)
    other = Endpoint("paper" if program == "julia" else "julia", "the port", 0.0)
    counterpart, ran_by_julia = endpoints.counterpart(recorded), None
    if counterpart is not None:
        ran_by_julia = endpoints.recorded_outputs(counterpart), f"the recording {counterpart.recording.name}"
    elif live is not None and other.program == "julia":
        try:
            ran_by_julia = live(recorded)
        except ConfigError as error:
            notes.append(f"Julia has no such model, so the port stands for it: {error}")
    if ran_by_julia is not None:
        outputs, what = ran_by_julia
        runs = endpoints.float32_runs(recorded, "julia")
        other = endpoints.endpoint("julia", what, endpoints.measures(outputs, julia, runs))
    total = output_change(paper, julia)
    found = contributions(origin, julia, paper, rows, recorded.config(JULIA))
    return Attribution(
        name=recorded.recording.name,
        total=total,
        loss=(julia.loss, paper.loss),
        rms=julia.rms,
        rounding=endpoints.unit(measured),
        endpoints=(own, other) if program == "julia" else (other, own),
        contributions=found,
        problems=problems(origin, total, found, entries, FORWARD_SWITCHES),
        notes=tuple(notes),
    )


def _run(recorded: RecordedRun, entries: list[Entry]) -> tuple[Outputs, Outputs, list[RowOutputs]]:
    """What `julia` computes, what `paper` does, and each row.

    All runs go through the segments side by side, so that the intermediates of one segment only are kept.
    """
    switches = [entry.switch for entry in entries]
    alone = [JULIA.flipped(switch) for switch in switches]
    added = [JULIA.flipped(*switches[: i + 1]) for i in range(len(switches))]
    every = dict.fromkeys((JULIA, *alone, *added, PAPER))
    runs = {semantics: Evaluation(recorded.port(semantics)) for semantics in every}
    base: dict[str, Tensor] = {}
    finders = {semantics: FirstChangeFinder(base) for semantics in alone}
    for number, (tokens, targets) in enumerate(recorded.segments, start=1):
        prefix = f"eval/{number}/"
        base.clear()
        for semantics, run in runs.items():  # JULIA, which fills `base`, is the first
            note = keep_in(base) if semantics == JULIA else finders.get(semantics, silent)
            run.segment(tokens, targets, within(passing(note), prefix))
    rows = [
        RowOutputs(entry, runs[one].outputs, runs[many].outputs, finders[one].first)
        for entry, one, many in zip(entries, alone, added, strict=True)
    ]
    return runs[JULIA].outputs, runs[PAPER].outputs, rows


def _notes(recorded: RecordedRun, entries: list[Entry]) -> list[str]:
    config = recorded.config(PAPER)
    if config.tied and "decoder.bias" not in recorded.weights and any(e.switch == "tied_bias" for e in entries):
        return ["these weights have no decoder bias, so paper's is 0 and row 5 does nothing here"]
    return []
