"""Hints for what is wrong in a case."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from parity.diagnosis.search import explain
from parity.recording import Recording
from parity.results import Comparison
from parity.subject import Subject

TRIES = 2
"""Wrong tensors that are looked at of each sort: a fault that is in every block is explained once."""
MOST = 24
"""Wrong tensors that are looked at in all."""


def diagnosed(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons, with a hint at the first wrong one of each sort, as far as there is one that is confirmed."""
    looked_at: Counter[str] = Counter()
    explained: set[str] = set()

    def with_hints(c: Comparison) -> Comparison:
        sort = re.sub(r"\d+", "*", c.layer)
        if (
            c.verdict != "wrong"
            or c.hints
            or sort in explained
            or looked_at[sort] == TRIES
            or looked_at.total() == MOST
        ):
            return c
        looked_at[sort] += 1
        scene = subject.scene(recording, c)
        hints = () if scene is None else tuple(explain(*scene))
        if hints:
            explained.add(sort)
        return replace(c, hints=hints)

    return [with_hints(c) for c in comparisons]
