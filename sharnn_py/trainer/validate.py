"""How likely the held-out text is to a model: the same numbers that `sharnn score` gives."""

from __future__ import annotations

import math

import numpy as np
import torch

from sharnn_py.baseline import Baseline
from sharnn_py.model import SHARNN
from sharnn_py.session import SEGMENT, nats_of
from sharnn_py.text import encode
from sharnn_py.torch_session import TorchSession
from sharnn_py.trainer.settings import Settings
from sharnn_py.vocabulary import Vocabulary


def scoring_segment(settings: Settings) -> int:
    """Steps of a segment in which the held-out text is scored.

    That is `score`'s own, but under julia's semantics those of training, as attention depends on them there.
    """
    return settings.bptt if settings.semantics == "julia" else SEGMENT


def bits_per_byte(model: SHARNN | Baseline, vocabulary: Vocabulary, text: bytes, segment: int) -> float:
    """Negative log likelihood of `text` after a line break, bits a byte; the model's mode is restored afterwards."""
    was_training = model.training
    try:
        if isinstance(model, SHARNN):
            return TorchSession(model, vocabulary).score(text, segment).bits_per_byte
        return _nats(model.eval(), vocabulary, text, segment) / math.log(2) / len(text)
    finally:
        model.train(was_training)


@torch.no_grad()
def _nats(model: Baseline, vocabulary: Vocabulary, text: bytes, segment: int) -> float:
    targets = encode(vocabulary, text)
    inputs = torch.from_numpy(np.concatenate([[0], targets[:-1]]))[:, None].to(model.embed.weight.device)
    nats, state = 0.0, None
    for start in range(0, len(targets), segment):
        logits, state = model(inputs[start : start + segment], state)
        nats += nats_of(logits[:, 0].float().cpu().numpy(), targets[start : start + segment])
    return nats
