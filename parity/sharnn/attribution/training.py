"""Rows 1 to 10: both programs as they are run, from a fresh model through training to the evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from torch import Tensor

from parity.sharnn.attribution import programs
from parity.sharnn.attribution.contributions import FirstChangeFinder, RowOutputs, contributions, keep_in, problems
from parity.sharnn.attribution.outputs import Evaluation, Outputs, output_change
from parity.sharnn.attribution.results import TRAINING_RUN, Attribution, Endpoint
from parity.sharnn.attribution.scenario import LEARNING_RATE, UPDATES, Scenario
from parity.sharnn.ledger.entry import RUN_SWITCHES, SWITCHES
from parity.sharnn.ledger.ledger import Ledger
from sharnn_py.batches import segments
from sharnn_py.config import JULIA, Program, Semantics
from sharnn_py.lamb import julia_lamb, paper_lamb
from sharnn_py.model import SHARNN, nll
from sharnn_py.trace import Note, passing, silent, within

WRITTEN_OUT = "the program written out without switches"


@dataclass(frozen=True)
class Switches:
    """Which program each part of a run follows; by default SHA-RNN.jl in all of them."""

    semantics: Semantics = JULIA
    optimiser: Program = "julia"
    evaluation_state: Program = "julia"
    segment_lengths: Program = "julia"

    def as_paper(self, switches: Sequence[str]) -> Switches:
        """These switches, with the named ones as in Smerity's program."""
        own: dict[str, Program] = {name: "paper" for name in switches if name in RUN_SWITCHES}
        semantics = self.semantics.flipped(*(name for name in switches if name not in RUN_SWITCHES))
        return replace(self, semantics=semantics, **own)


def run(scenario: Scenario, switches: Switches, note: Note = silent) -> Outputs:
    """Train a fresh model, one update a segment, then evaluate it.

    `note` is called with the initial parameters, every segment's ids and intermediates and the parameters after its
    update, then the evaluation's intermediates, in order of computation.
    """
    model = scenario.model(switches.semantics).train()
    optimizer = (julia_lamb if switches.optimiser == "julia" else paper_lamb)(model, lr=LEARNING_RATE)
    _parameters(model, "", note)
    state = None
    pairs = segments(scenario.training_text, scenario.lengths(switches.segment_lengths))
    with scenario.dropout():
        for number, (tokens, targets) in enumerate(islice(pairs, UPDATES), start=1):
            prefix = f"train/{number}/"
            note(f"{prefix}x", tokens)
            logits, state = model(tokens, state, within(passing(note), prefix))
            nll(logits, targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            _parameters(model, prefix, note)
    evaluation = Evaluation(model.eval(), state=state if switches.evaluation_state == "julia" else None)
    for number, (tokens, targets) in enumerate(scenario.evaluation_segments, start=1):
        evaluation.segment(tokens, targets, within(passing(note), f"dev/{number}/"))
    return evaluation.outputs


def explain(ledger: Ledger, seed: int = 0) -> Attribution:
    """The whole difference between the programs, run on the same text with the same seeds."""
    scenario = Scenario(seed)
    entries = [entry for entry in ledger.entries if entry.switch]
    base: dict[str, Tensor] = {}
    julia, paper = run(scenario, Switches(), keep_in(base)), programs.paper(scenario)
    rows = []
    for i, entry in enumerate(entries):
        finder = FirstChangeFinder(base)
        alone = run(scenario, Switches().as_paper([entry.switch]), finder)
        added = run(scenario, Switches().as_paper([e.switch for e in entries[: i + 1]]))
        rows.append(RowOutputs(entry, alone, added, finder.first))
    total, start = output_change(paper, julia), output_change(julia, programs.julia(scenario))
    found = contributions("as run", julia, paper, rows, scenario.config(JULIA))
    return Attribution(
        name=TRAINING_RUN,
        total=total,
        loss=(julia.loss, paper.loss),
        rms=julia.rms,
        rounding=None,
        endpoints=(
            Endpoint("julia", WRITTEN_OUT, 0.0 if start.is_zero else math.inf, f"logits differ by {start.largest:.3g}"),
            Endpoint("paper", WRITTEN_OUT, 0.0),
        ),
        contributions=found,
        problems=problems("as run", total, found, entries, SWITCHES),
    )


def _parameters(model: SHARNN, prefix: str, note: Note) -> None:
    for name, parameter in model.named_parameters():
        note(f"{prefix}param/{name}", parameter)
