"""Both programs as they are run, each written out by itself: what a run with switches has to begin and end at.

No switch is looked at here. `parity.sharnn.attribution.training` must come to the same numbers by another way.
"""

from __future__ import annotations

from itertools import islice

import torch

from parity.sharnn.attribution.outputs import Outputs
from parity.sharnn.attribution.scenario import LEARNING_RATE, UPDATES, Setting
from sharnn_py.batches import segments
from sharnn_py.config import JULIA, PAPER
from sharnn_py.lamb import julia_lamb, paper_lamb
from sharnn_py.model import SHARNN, nll
from sharnn_py.state import State
from sharnn_py.training import evaluate, train


def julia(setting: Setting) -> Outputs:
    """SHA-RNN.jl: it goes on to the evaluation with the state that training ended in."""
    model = setting.model(JULIA).train()
    optimizer = julia_lamb(model, lr=LEARNING_RATE)
    state: State | None = None
    with setting.dropout():
        for tokens, targets in islice(segments(setting.training_text, setting.lengths("julia")), UPDATES):
            logits, state = model(tokens, state)
            nll(logits, targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
    return _evaluated(setting, model, state)


def paper(setting: Setting) -> Outputs:
    """Smerity's: it begins the evaluation anew."""
    model = setting.model(PAPER)
    cut = islice(segments(setting.training_text, setting.lengths("paper")), UPDATES)
    with setting.dropout():
        train(model, cut, paper_lamb(model, lr=LEARNING_RATE))
    return _evaluated(setting, model, None)


@torch.no_grad()
def _evaluated(setting: Setting, model: SHARNN, state: State | None) -> Outputs:
    outputs = Outputs()
    model.eval()
    for tokens, targets in setting.evaluation_segments:
        logits, _ = model(tokens, state)
        loss, state = evaluate(model, [(tokens, targets)], state)
        outputs.add(logits, torch.tensor(loss, dtype=logits.dtype))
    return outputs
