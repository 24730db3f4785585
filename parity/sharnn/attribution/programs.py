"""Both programs as they are run, each written out separately: where a run with switches has to begin and end.

No switch is used here. `parity.sharnn.attribution.training` must arrive at the same numbers independently.
"""

from itertools import islice

import torch

from parity.sharnn.attribution.outputs import Outputs
from parity.sharnn.attribution.scenario import LEARNING_RATE, UPDATES, Scenario
from sharnn_py.batches import segments
from sharnn_py.config import JULIA, PAPER
from sharnn_py.lamb import julia_lamb, paper_lamb
from sharnn_py.model import SHARNN, nll
from sharnn_py.state import State
from sharnn_py.training import evaluate, train


def julia(scenario: Scenario) -> Outputs:
    """SHA-RNN.jl, which begins the evaluation with the state that training ended in."""
    model = scenario.model(JULIA).train()
    optimizer = julia_lamb(model, lr=LEARNING_RATE)
    state: State | None = None
    with scenario.dropout():
        for tokens, targets in islice(segments(scenario.training_text, scenario.lengths("julia")), UPDATES):
            logits, state = model(tokens, state)
            nll(logits, targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
    return _evaluated(scenario, model, state)


def paper(scenario: Scenario) -> Outputs:
    """Smerity's program, which begins the evaluation with a fresh state."""
    model = scenario.model(PAPER)
    cut = islice(segments(scenario.training_text, scenario.lengths("paper")), UPDATES)
    with scenario.dropout():
        train(model, cut, paper_lamb(model, lr=LEARNING_RATE))
    return _evaluated(scenario, model, None)


@torch.no_grad()
def _evaluated(scenario: Scenario, model: SHARNN, state: State | None) -> Outputs:
    outputs = Outputs()
    model.eval()
    for tokens, targets in scenario.evaluation_segments:
        logits, _ = model(tokens, state)
        loss, state = evaluate(model, [(tokens, targets)], state)
        outputs.add(logits, torch.tensor(loss, dtype=logits.dtype))
    return outputs
