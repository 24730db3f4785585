"""Hints for what is wrong in a case."""

import re
from collections import Counter
from dataclasses import replace

from parity.diagnosis.search import explain
from parity.recording.recording import Recording
from parity.results import Comparison
from parity.subject.subject import Subject

MOST_LAYERS = 40
"""The search covers at most this many layers."""
MOST_UNEXPLAINED = 2
"""Layers whose names differ only in a number are given up after this many searches without a hint."""


def diagnosed(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons, with the hints that were confirmed for the first wrong tensor of each layer."""
    seen: set[str] = set()
    unexplained: Counter[str] = Counter()

    def with_hints(c: Comparison) -> Comparison:
        sort = re.sub(r"\d+", "*", c.layer)
        given_up = len(seen) == MOST_LAYERS or unexplained[sort] == MOST_UNEXPLAINED
        if c.verdict != "wrong" or c.hints or c.layer in seen or given_up:
            return c
        seen.add(c.layer)
        scene = subject.scene(recording, c)
        hints = () if scene is None else tuple(explain(*scene))
        unexplained[sort] += not hints
        return replace(c, hints=hints)

    return [with_hints(c) for c in comparisons]
