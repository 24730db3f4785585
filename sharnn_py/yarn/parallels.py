"""The lists of parallel verses in `references/`, each with its source at its head."""

from __future__ import annotations

import re
from pathlib import Path

from sharnn_py.errors import InputError

FOLDER = Path(__file__).parent / "references"
CHOSEN_ON = ("old_testament", "retold")
"""The lists that representations and weights were chosen on."""
REPORTED = ("gospels", "quotations")
"""The lists that nothing was chosen on."""
_REFERENCE = re.compile(r"(.+ \d+:)(\d+)(?:-(\d+))?")


def groups(name: str) -> list[tuple[str, ...]]:
    """The places of list `name`, such as ("Matthew 3:3", "Mark 1:3"), of verses that say the same.

    Raises `InputError` for a line that is none of parallel passages of one length.
    """
    found: list[tuple[str, ...]] = []
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            passages = [_verses(passage) for passage in line.split(" = ")]
            if len({len(verses) for verses in passages}) != 1 or len(passages) < 2 or not passages[0]:
                raise InputError(f"{name}.txt: {line!r} has no parallel passages of one length")
            found += zip(*passages, strict=True)
    return found


def related(name: str) -> dict[str, set[str]]:
    """For every place of list `name` the places that are parallel to it."""
    found: dict[str, set[str]] = {}
    for group in groups(name):
        for place in group:
            found.setdefault(place, set()).update(other for other in group if other != place)
    return found


def _verses(passage: str) -> list[str]:
    matched = _REFERENCE.fullmatch(passage)
    if not matched:
        return []
    first, last = int(matched[2]), int(matched[3] or matched[2])
    return [f"{matched[1]}{verse}" for verse in range(first, last + 1)]
