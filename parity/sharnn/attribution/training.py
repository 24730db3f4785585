"""Rows 1 to 10: both programs as they are run, from a fresh model through training to the evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from torch import Tensor

from parity.sharnn.attribution import programs
from parity.sharnn.attribution.contributions import Switched, contributions, problems
from parity.sharnn.attribution.outputs import Outputs, Run, change
from parity.sharnn.attribution.results import AS_RUN, Case, End
from parity.sharnn.attribution.scenario import LEARNING_RATE, UPDATES, Setting
from parity.sharnn.attribution.watch import Listener, Watch, keep_in, nothing, under
from parity.sharnn.ledger.entry import RUN_SWITCHES, SWITCHES
from parity.sharnn.ledger.ledger import Ledger
from sharnn_py.batches import segments
from sharnn_py.config import JULIA, Program, Semantics
from sharnn_py.lamb import julia_lamb, paper_lamb
from sharnn_py.model import SHARNN, nll

ALONE = "the program written out by itself"


@dataclass(frozen=True)
class Switches:
    """Whose way everything is done. As it stands, SHA-RNN.jl's."""

    semantics: Semantics = JULIA
    optimiser: Program = "julia"
    evaluation_state: Program = "julia"
    segment_lengths: Program = "julia"

    def as_paper(self, switches: Sequence[str]) -> Switches:
        """The named ones as in Smerity's program."""
        own: dict[str, Program] = {name: "paper" for name in switches if name in RUN_SWITCHES}
        semantics = self.semantics.flipped(*(name for name in switches if name not in RUN_SWITCHES))
        return replace(self, semantics=semantics, **own)


def run(setting: Setting, switches: Switches, say: Listener = nothing) -> Outputs:
    """Train a fresh model, one update a segment, then evaluate it.

    `say` is called with the initial parameters, every segment's ids and intermediates and the parameters after its
    update, then the evaluation's intermediates, in order of computation.
    """
    model = setting.model(switches.semantics).train()
    optimizer = (julia_lamb if switches.optimiser == "julia" else paper_lamb)(model, lr=LEARNING_RATE)
    _parameters(model, "", say)
    state = None
    pairs = segments(setting.training_text, setting.lengths(switches.segment_lengths))
    with setting.dropout():
        for number, (tokens, targets) in enumerate(islice(pairs, UPDATES), start=1):
            prefix = f"train/{number}/"
            say(f"{prefix}x", tokens)
            logits, state = model(tokens, state, under(prefix, say))
            nll(logits, targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            _parameters(model, prefix, say)
    evaluation = Run(model.eval(), state=state if switches.evaluation_state == "julia" else None)
    for number, (tokens, targets) in enumerate(setting.evaluation_segments, start=1):
        evaluation.segment(tokens, targets, under(f"dev/{number}/", say))
    return evaluation.outputs


def explain(ledger: Ledger, seed: int = 0) -> Case:
    """The whole difference between the programs, run on the same text with the same seeds."""
    setting = Setting(seed)
    entries = [entry for entry in ledger.entries if entry.switch]
    base: dict[str, Tensor] = {}
    julia, paper = run(setting, Switches(), keep_in(base)), programs.paper(setting)
    rows = []
    for i, entry in enumerate(entries):
        watch = Watch(base)
        alone = run(setting, Switches().as_paper([entry.switch]), watch)
        added = run(setting, Switches().as_paper([e.switch for e in entries[: i + 1]]))
        rows.append(Switched(entry, alone, added, watch.first))
    total, begins = change(paper, julia), change(julia, programs.julia(setting))
    found = contributions("as run", julia, paper, rows, setting.config(JULIA))
    return Case(
        name=AS_RUN,
        total=total,
        loss=(julia.loss, paper.loss),
        rms=julia.rms,
        rounding=None,
        ends=(
            End("julia", ALONE, 0.0 if begins.is_zero else math.inf, f"logits are off by {begins.largest:.3g}"),
            End("paper", ALONE, 0.0),
        ),
        contributions=found,
        problems=problems("as run", total, found, entries, SWITCHES),
    )


def _parameters(model: SHARNN, prefix: str, say: Listener) -> None:
    for name, parameter in model.named_parameters():
        say(f"{prefix}param/{name}", parameter)
