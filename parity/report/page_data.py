"""What the scripts of the HTML page draw of one case, as compactly as a page of many cases needs it.

`rows` are the heat map's, [group, layer]; `segments` its columns. A cell is

    [row, column or -1, verdict, exact, shape, where, end-to-end error and tolerance, isolated error and tolerance]

with `verdict` an index of `VERDICTS`, `shape` and `where` indices of `texts`, a problem's words in place of an error.
Numbers are encoded by `encode`. A layer that cannot be run isolated has no isolated pair. `names` has the
names that are not group/segment/layer or group/layer. `first` is the cell of the first wrong layer, `shown` the one
that is described before another is pointed at. `profiles` are errors over steps, by cell.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from parity.measure import Measure
from parity.recording.names import TensorName
from parity.report import words
from parity.report.encode import encode
from parity.results import CaseResult, Comparison

VERDICTS = ("agrees", "wrong", "inherited", "differs")
"""The last of what is off in a case of which no layer was run by itself."""
DIGITS = 4
PROFILE_POINTS = 256
"""The most points of a profile over steps; in a longer one the largest of neighbouring steps is kept."""


Row = tuple[str, str, int]
"""A group, a layer, and how often its segments have had it before: what is compared twice has two rows."""


def page_data(case: CaseResult, profile_numbers: int) -> dict[str, Any]:
    """The case with profiles over steps of as many tensors as fit into `profile_numbers` numbers."""
    segments = sorted({c.segment for c in case.comparisons if c.segment is not None})
    places = _places(case)
    rows = {row: number for number, row in enumerate(_in_order(case, places))}
    texts: dict[str, int] = {}
    cells, names = [], {}
    for index, (c, place) in enumerate(zip(case.comparisons, places, strict=True)):
        group, layer, _ = place
        if c.name != str(TensorName(group, c.segment, layer)):
            names[index] = c.name
        column = -1 if c.segment is None else segments.index(c.segment)
        shape = texts.setdefault("×".join(map(str, c.shape)) or "a number", len(texts))
        where = texts.setdefault(c.where, len(texts))
        isolated = () if c.isolated is None else _pair(c.isolated)
        verdict = VERDICTS.index(c.verdict if c.agrees or case.isolates else "differs")
        fixed = (rows[place], column, verdict, int(c.exact), shape, where)
        cells.append([*fixed, *_pair(c.end_to_end), *isolated])
    first = case.first
    shown = case.closest if first is None else first
    return {
        "segments": segments,
        "rows": [[group, layer] for group, layer, _ in rows],
        "texts": list(texts),
        "names": names,
        "cells": cells,
        "first": next((i for i, c in enumerate(case.comparisons) if c is first), None),
        "shown": next((i for i, c in enumerate(case.comparisons) if c is shown), None),
        "growth": [
            [s, _round(end_to_end), _round(isolated)] for s, (end_to_end, isolated) in sorted(case.growth.items())
        ],
        "profiles": _profiles(case, profile_numbers),
    }


def _places(case: CaseResult) -> list[Row]:
    """The row of every comparison."""
    seen: Counter[tuple[str, str, int | None]] = Counter()
    places = []
    for c in case.comparisons:
        group = c.tensor_name.heading
        layer = c.layer.removeprefix(f"{group}/")
        places.append((group, layer, seen[group, layer, c.segment]))
        seen[group, layer, c.segment] += 1
    return places


def _in_order(case: CaseResult, places: list[Row]) -> list[Row]:
    """Rows group by group; one that only a later segment has comes after its predecessor in that segment."""
    order: dict[str, list[Row]] = {}
    before: dict[tuple[str, int | None], Row] = {}
    known: set[Row] = set()
    for c, place in zip(case.comparisons, places, strict=True):
        group = order.setdefault(place[0], [])
        if place not in known:
            known.add(place)
            previous = before.get((place[0], c.segment))
            group.insert(0 if previous is None else group.index(previous) + 1, place)
        before[place[0], c.segment] = place
    return [row for group in order.values() for row in group]


def as_script(data: dict[str, Any]) -> str:
    """JSON that holds nothing that could end the script element around it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _pair(measure: Measure) -> tuple[float | str, float | str]:
    return (measure.problem or _round(measure.error), _round(measure.tolerance))


def _round(value: float) -> float | str:
    rounded: float | str = encode(value, DIGITS)
    return int(rounded) if isinstance(rounded, float) and rounded.is_integer() and abs(rounded) < 1e6 else rounded


def _profiles(case: CaseResult, numbers: int) -> dict[int, dict[str, Any]]:
    """Profiles by cell: first the first wrong tensor, then others that are wrong, those that inherit, the closest."""
    order: dict[int, Comparison] = {}
    indexed = list(enumerate(case.comparisons))
    profiled = [c for c in case.comparisons if c.end_to_end.steps]
    closest = max(profiled, key=lambda c: c.own.ratio, default=None)
    for wanted in (case.wrong, words.outcomes(case.divergences), case.divergences, [closest]):
        identities = {id(c) for c in wanted}
        order.update((index, c) for index, c in indexed if id(c) in identities and index not in order)
    profiles: dict[int, dict[str, Any]] = {}
    for index, c in order.items():
        if not c.end_to_end.steps:
            continue
        isolated = () if c.isolated is None else c.isolated.steps
        profile = {"arrived": _binned(c.end_to_end.steps), "local": _binned(isolated)}
        numbers -= sum(map(len, profile.values()))
        if numbers < 0 and profiles:
            break
        profiles[index] = {"steps": len(c.end_to_end.steps), "bad": c.own.first_bad_step, **profile}
    return profiles


def _binned(steps: Iterable[float]) -> list[float | str]:
    values = list(steps)
    width = max(1, math.ceil(len(values) / PROFILE_POINTS))
    return [_round(max(values[start : start + width])) for start in range(0, len(values), width)]
