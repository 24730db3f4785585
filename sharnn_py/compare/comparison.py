"""The whole comparison of one text: every contender's search, its final run, and the ensembles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from sharnn_py.compare import published
from sharnn_py.compare.contender import Contender
from sharnn_py.compare.result import Result, Row, ensemble, final
from sharnn_py.compare.search import Trial, search
from sharnn_py.compare.split import split


@dataclass(frozen=True)
class Comparison:
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


def run(text: bytes, minutes: float, names: Sequence[str], tell: Callable[[str], object]) -> Comparison:
    """Compare the contenders of these names on `text`; `tell` is called with a line about each step.

    Each has `minutes` of wall-clock time for its final run, and as many for the search. Raises `InputError` for a text
    that is too short.
    """
    parts = split(text)
    trials: dict[str, tuple[Trial, ...]] = {}
    results: list[Result] = []
    for contender in contenders(names):
        trials[contender.name] = search(contender, parts, minutes)
        best = trials[contender.name][0]
        tell(f"{contender.name}: {dict(best.settings)} is best of {len(trials[contender.name])} on the validation part")
        results.append(final(contender, parts, minutes, best.settings))
        tell(f"{contender.name}: {results[-1].row.bits_per_byte:.4f} bits per byte of the held-out part")
    if len(results) > 1:
        results.append(ensemble(results))
    rows = tuple(result.row for result in results)
    return Comparison(hashlib.sha256(text).hexdigest(), len(text), len(parts.held_out), minutes, trials, rows)


def contenders(names: Sequence[str]) -> list[Contender]:
    """Those of these names, in the order in which they are compared."""
    from sharnn_py.compare.ngrams import KneserNeyContender, PpmdContender

    every: tuple[Contender, ...] = (PpmdContender(), KneserNeyContender())
    return [contender for contender in every if contender.name in names]
