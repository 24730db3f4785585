"""The contenders that are trained: SHA-RNN with attention in no, one or every block, and an LSTM as large.

All are trained by the same loop, from the same settings but for those that are tried, and read on in the same way.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharnn_py.baseline import Baseline
from sharnn_py.compare.contender import Failed, told
from sharnn_py.compare.contender import Settings as Tried
from sharnn_py.fast import Precision, choose
from sharnn_py.model import SHARNN
from sharnn_py.session import SEGMENT
from sharnn_py.text import encode
from sharnn_py.trainer.corpus import Corpus
from sharnn_py.trainer.presets import DEFAULT, presets
from sharnn_py.trainer.ranks import Ranks
from sharnn_py.trainer.run import Run
from sharnn_py.trainer.saved import Carried
from sharnn_py.trainer.settings import Attention, Settings
from sharnn_py.trainer.watch import TrainingError
from sharnn_py.vocabulary import EOS, UNK, Vocabulary

BASE = presets()[DEFAULT].settings
"""What is not tried: sizes, optimiser, schedule and initial parameters are the trainer's default."""
RATES = (2e-3, 4e-3, 8e-3)
"""The learning rates that are tried for every neural contender."""
Kind = Literal["sharnn", "baseline"]
"""The setting `model` of the trainer."""
WARM_UP = 4096
"""Bytes at the end of what was trained on that a model reads once more, so that it reads on with its memory filled."""
EVERY_BYTE = Vocabulary([EOS, UNK, *(str(byte) for byte in range(256) if byte != ord("\n"))])
"""All 256 bytes, whichever a text has: what is held out has no say in it."""


class NeuralReader:
    """A trained model that reads on; it learns nothing from what it reads but what its state carries."""

    def __init__(self, model: SHARNN | Baseline, trained_on: bytes, bytes_seen: int) -> None:
        self.model = model.eval()
        self.before = trained_on[-WARM_UP:]
        """The text before what is read first."""
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.bytes_seen = bytes_seen
        self._state: Carried = None
        self._last = self.before[:1]
        self.read(self.before[1:])

    @torch.no_grad()
    def read(self, text: bytes) -> NDArray[np.float64]:
        """The bits that each byte of `text` costs, (len(text),)."""
        costs = []
        for inputs, targets in pairs(self._last + text, SEGMENT, self.model):
            logits, self._state = self.model(inputs, self._state)
            costs.append(bits(logits, targets).cpu().numpy())
        self._last = text[-1:] or self._last
        return np.concatenate(costs) if costs else np.zeros(0)


class NeuralContender:
    """A model of the trainer's, trained for as long as it may."""

    def __init__(self, name: str, fixed: Settings, tried: Sequence[Tried], precision: Precision) -> None:
        self.name = name
        self.settings = tuple(tried)
        self._fixed = fixed
        self._precision = precision

    def fit(self, text: bytes, minutes: float, settings: Tried) -> NeuralReader:
        """A model trained on `text` for `minutes`. Raises `Failed` for a run that diverges."""
        end = time.monotonic() + 60 * minutes
        ids = torch.from_numpy(encode(EVERY_BYTE, text).astype(np.int16))
        corpus = Corpus(EVERY_BYTE, ids, len(text), held_out=b"", digest="")
        run = Run(corpus, dataclasses.replace(self._fixed, **dict(settings)), Ranks(0, 1, _device()))  # type: ignore[arg-type]
        run.compute_in(self._precision, torch.get_num_threads())
        began = time.monotonic()
        while (now := time.monotonic()) < end or not run.counters.update:
            if run.counters.update:  # the schedule runs along the clock, and from here on at the speed so far
                run.plan = run.plan.remade(run.columns.taken, run.columns.taken / (now - began) * (end - now))
            try:
                run.update()
            except TrainingError as error:
                raise Failed(f"{self.name} with {told(settings)}: {error}") from error
        return NeuralReader(run.model, text, run.bytes_read)


def fastest(tell: Callable[[str], object]) -> dict[Kind, Precision]:
    """What SHA-RNN, and what the LSTM, trains fastest in on this machine; torch's threads are set for all contenders.

    It is measured once, before the clock of any contender runs, on the larger LSTM of those tried.
    """
    threads, found = None, dict[Kind, Precision]()
    models: dict[Kind, Settings] = {"sharnn": BASE, "baseline": _lstm(layers=2)}
    for kind, settings in models.items():
        choice = choose(settings.new_model(len(EVERY_BYTE)).to(_device()), BASE.batch, BASE.bptt, threads=threads)
        threads, found[kind] = [choice.threads], choice.precision
        tell(f"fastest here, forward and backward, {'SHA-RNN' if kind == 'sharnn' else 'LSTM'}: {choice.sentence}")
        torch.set_num_threads(choice.threads)
    return found


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def sha_rnn(name: str, attention: Attention, precision: Precision) -> NeuralContender:
    """SHA-RNN with attention in the blocks that `attention` says, its products computed in `precision`."""
    tried = [{"rate": rate, "batch": batch} for rate in RATES for batch in (8, 16)]
    return NeuralContender(name, dataclasses.replace(BASE, attention=attention), tried, precision)


def lstm(precision: Precision) -> NeuralContender:
    """The LSTM language model, of one or two layers, with as many parameters as SHA-RNN with one attention.

    It begins with torch's initial parameters. From SHA-RNN.jl's, whose embeddings are near 0 and which has no norm to
    mend that, it stays at the frequencies of the bytes for hundreds of updates.
    """
    tried = [{"rate": rate, "layers": n, "hidden": _lstm(n).hidden} for rate in RATES for n in (1, 2)]
    return NeuralContender(
        "lstm", dataclasses.replace(BASE, model="baseline", initialisation="torch"), tried, precision
    )


def _lstm(layers: int) -> Settings:
    one = dataclasses.replace(BASE, attention="one").new_model(len(EVERY_BYTE))
    target = sum(parameter.numel() for parameter in one.parameters())
    return dataclasses.replace(BASE, model="baseline", layers=layers, hidden=width(target, layers))


def width(target: int, layers: int) -> int:
    """The width of an LSTM of `layers` layers with which the language model comes closest to `target` parameters."""
    wider = next(hidden for hidden in itertools.count(1) if _lstm_parameters(hidden + 1, layers) > target)
    return min(wider, wider + 1, key=lambda hidden: abs(_lstm_parameters(hidden, layers) - target))


def _lstm_parameters(hidden: int, layers: int) -> int:
    """Of embedding, layers with four gates and two biases each, and projection."""
    vocab, emb = len(EVERY_BYTE), BASE.emb
    recurrent = sum(4 * hidden * (wide + hidden + 2) for wide in (emb, *[hidden] * (layers - 1)))
    return vocab * emb + recurrent + (hidden + 1) * vocab


def pairs(text: bytes, steps: int, model: SHARNN | Baseline) -> list[tuple[Tensor, Tensor]]:
    """`text` as one sequence in segments of `steps`: inputs and targets, each int64 (T, 1), where `model` is."""
    ids = torch.from_numpy(encode(EVERY_BYTE, text))[:, None].to(next(model.parameters()).device)
    starts = range(0, len(ids) - 1, steps)
    return [(ids[s : s + steps][: len(ids) - 1 - s], ids[s + 1 : s + 1 + steps]) for s in starts]


def bits(logits: Tensor, targets: Tensor) -> Tensor:
    """What each target costs, bits, float64 (T,), for logits (T, 1, V) and targets (T, 1)."""
    nats = torch.nn.functional.cross_entropy(logits[:, 0].double(), targets[:, 0], reduction="none")
    return nats / math.log(2)
