"""All that `sharnn compare` does with one text: every contender's search, its final run, and the ensembles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from sharnn_py.compare import published
from sharnn_py.compare.contender import Contender, told
from sharnn_py.compare.kneser_ney import KneserNey
from sharnn_py.compare.result import Result, Row, ensemble, final
from sharnn_py.compare.search import Trial, search
from sharnn_py.compare.split import split

if TYPE_CHECKING:
    from sharnn_py.trainer.settings import Attention

ATTENTION: dict[str, Attention] = {"sha-rnn-none": "none", "sha-rnn-one": "one", "sha-rnn-all": "all"}
"""The names of SHA-RNN with attention in no block, in the second to last, and in every one."""

LEARNT = 0.98
"""A trial that saves less than 2% of what the validation part costs by bytes' frequencies alone has learnt nothing."""


@dataclass(frozen=True)
class Contest:
    """What was compared, what was tried, and what came of it."""

    sha256: str
    """Of the text."""
    bytes: int
    held_out: int
    """How many of the bytes, at the end."""
    minutes: float
    trials: dict[str, tuple[Trial, ...]]
    """By contender, every setting that was tried, the one chosen first."""
    rows: tuple[Row, ...]

    def to_json(self) -> str:
        """Everything as JSON, with the paper's figures and what they are for under `published`."""
        paper = {"source": published.SOURCE, "conditions": published.CONDITIONS, "bits_per_byte": published.FIGURES}
        return json.dumps({**asdict(self), "published": paper}, indent=2) + "\n"


def run(text: bytes, minutes: float, names: Sequence[str], tell: Callable[[str], object]) -> Contest:
    """Compare the contenders of these names on `text`; `tell` is called with a line about each step.

    Each neural one has `minutes` of wall-clock time for its final run, and as many for the search. The one that is
    best on the validation part is also read with dynamic evaluation. Raises `InputError` for a text that is too short.
    """
    parts = split(text)
    trials: dict[str, tuple[Trial, ...]] = {}
    frequencies = -float(KneserNey(parts.fit, 1).log2_probabilities(parts.validation).mean())

    def contend(contender: Contender) -> Result:
        trials[contender.name] = search(contender, parts, minutes, tell)
        best = trials[contender.name][0].settings
        result = final(contender, parts, minutes, best)
        if (trials[contender.name][0].bits_per_byte or 0.0) > LEARNT * frequencies:
            note = f"{result.row.note}; its trials were too short to tell settings apart: give more --minutes"
            result = replace(result, row=replace(result.row, note=note))
        tell(f"{contender.name} with {told(best)}: {result.row.bits_per_byte:.4f} bits per byte of the held-out part")
        return result

    counting = [contend(contender) for contender in ngrams(names)]
    trained = [contend(contender) for contender in neural(names, tell)]
    alone = [*counting, *trained]
    together = [counting] if len(counting) > 1 else []
    if trained:
        best = min(trained, key=lambda result: float(result.validation.mean()))
        dynamic = _after(best, contend(_dynamic(best)))
        alone.append(dynamic)
        together += [[first, result] for first in counting[:1] for result in (best, dynamic)]
    rows = tuple(result.row for result in [*alone, *map(ensemble, together)])
    return Contest(hashlib.sha256(text).hexdigest(), len(text), len(parts.held_out), minutes, trials, rows)


def ngrams(names: Sequence[str]) -> list[Contender]:
    """The contenders of these names that count, the best first; they take seconds."""
    from sharnn_py.compare.ngrams import KneserNeyContender, PpmdContender

    every: tuple[Contender, ...] = (PpmdContender(), KneserNeyContender())
    return [contender for contender in every if contender.name in names]


def neural(names: Sequence[str], tell: Callable[[str], object]) -> list[Contender]:
    """The contenders of these names that are trained, as fast as they are on this machine, which is told."""
    if not {"lstm", *ATTENTION} & set(names):
        return []
    from sharnn_py.compare.neural import fastest, lstm, sha_rnn

    precision = fastest(tell)
    found: list[Contender] = [lstm(precision["baseline"])] if "lstm" in names else []
    return found + [sha_rnn(name, how, precision["sharnn"]) for name, how in ATTENTION.items() if name in names]


def _dynamic(trained: Result) -> Contender:
    from sharnn_py.compare.dynamic import DynamicContender
    from sharnn_py.compare.neural import NeuralReader

    assert isinstance(trained.reader, NeuralReader)
    return DynamicContender(f"{trained.row.name} dynamic", trained.reader)


def _after(trained: Result, dynamic: Result) -> Result:
    """The result of dynamic evaluation with what training took and was set to."""
    row = replace(
        dynamic.row,
        cpu_seconds=trained.row.cpu_seconds + dynamic.row.cpu_seconds,
        wall_seconds=trained.row.wall_seconds + dynamic.row.wall_seconds,
        note=f"{trained.row.note}, {dynamic.row.note}",
    )
    return replace(dynamic, row=row)
