"""Hints for what is wrong in a case."""

import re
from collections import Counter
from dataclasses import replace

from parity.diagnosis.search import explain
from parity.recording.recording import Recording
from parity.results import Comparison
from parity.subject.subject import Subject

MOST = 40
"""Layers that are looked at in all."""
VAIN = 2
"""Of layers that differ by a number alone, such as a block's, how many are looked at in vain."""


def diagnosed(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons, with hints at the first wrong tensor of each layer, as far as there are any confirmed."""
    seen: set[str] = set()
    vain: Counter[str] = Counter()

    def with_hints(c: Comparison) -> Comparison:
        sort = re.sub(r"\d+", "*", c.layer)
        if c.verdict != "wrong" or c.hints or c.layer in seen or len(seen) == MOST or vain[sort] == VAIN:
            return c
        seen.add(c.layer)
        scene = subject.scene(recording, c)
        hints = () if scene is None else tuple(explain(*scene))
        vain[sort] += not hints
        return replace(c, hints=hints)

    return [with_hints(c) for c in comparisons]
