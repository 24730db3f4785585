"""What all reports say in the same words."""

import math
import re

from parity.measure import Measure, Worst
from parity.results import CaseResult, Comparison, Hint, SuiteResult

OUTCOMES = ("logits", "loss")
"""Last parts of the names of what a model is judged by; where a case has none, its last divergence is named."""
ILLEGIBLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
UNEXPLAINED = "no explanation was confirmed"


def number(value: object) -> str:
    """A number as it is shown: enough digits to tell two float32 apart."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def short(value: float) -> str:
    """A number to three digits."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if 1e3 <= abs(rounded) < 1e6 else f"{rounded:.3g}"


def ratio(value: float) -> str:
    """An error as a multiple of its tolerance."""
    return f"{value:.2f}" if value < 1000 else short(value)


def legible(text: str) -> str:
    """`text` as any report can hold it: what XML forbids and what steers a terminal is replaced."""
    return ILLEGIBLE.sub("\ufffd", text)


def distance(measure: Measure, exact: bool) -> str:
    """How far apart, and how far rounding would explain."""
    if measure.problem:
        return measure.problem
    if exact:
        return f"elements that differ: {measure.error:,.0f}; all should be equal"
    if measure.imprecision > measure.tolerance >= measure.error:
        return (
            f"the subject's own float32 run is {short(measure.imprecision)} from its float64 run, "
            f"{short(measure.ratio)} times the {short(measure.tolerance)} that float32 rounding explains here; "
            f"the recording is {short(measure.error)} from the float64 run"
        )
    ratio = "no rounding at all" if math.isinf(measure.ratio) else f"{short(measure.ratio)} times"
    return (
        f"{short(measure.error)} from the truth, {ratio} the {short(measure.tolerance)} that float32 rounding "
        f"explains here (rounding moves the subject by {short(measure.rounding)})"
    )


def worst(measure: Measure, exact: bool) -> str:
    """The worst element with all values; nothing if none is known."""
    return "" if measure.worst is None else f"worst element {element(measure.worst, exact)}"


def element(worst: Worst, exact: bool) -> str:
    """An element's index and values."""
    values = f"recorded {number(worst.recorded)}, subject {number(worst.port)}"
    truth = "" if exact else f", truth (subject in float64) {number(worst.truth)}"
    return f"{list(worst.index)}: {values}{truth}"


def first_bad_step(measure: Measure) -> str:
    """The first step above the tolerance; nothing if there is no time axis or no such step."""
    return "" if measure.first_bad_step is None else f"first bad step: {bad_step(measure)}"


def bad_step(measure: Measure) -> str:
    """The first step above the tolerance, and how many steps there are; there must be a bad one."""
    return f"{measure.first_bad_step:,} (of {len(measure.steps):,})"


def hint(given: Hint) -> str:
    """An explanation and what it was confirmed by: as a rule, how much of the error it takes away."""
    if given.evidence:
        return f"{given.description} ({given.evidence})"
    also = f"; so it does at {' and '.join(given.also_at)}" if given.also_at else ""
    also = f"; not so at {', '.join(given.not_at)}" if given.not_at else also
    return (
        f"{given.description} (recomputing {given.at} this way reduces the error from {short(given.before)} to "
        f"{short(given.after)} units of rounding{also})"
    )


def diagnosis(comparison: Comparison) -> list[str]:
    """Why the first wrong layer is wrong, a line for each explanation."""
    return [hint(given) for given in comparison.hints] or [UNEXPLAINED]


def standing(case: CaseResult) -> str:
    """What is known of the first divergence. The case must have one."""
    if case.wrong:
        return "the first layer that is wrong in isolation"
    return "the first that is off; no layer is wrong in isolation, as far as layers could be isolated"


def consequences(case: CaseResult) -> str:
    """What the first divergence leads to, in a sentence. The case must have one."""
    first = case.first
    assert first is not None
    later = case.comparisons[case.comparisons.index(first) + 1 :]
    off = [c for c in later if not c.agrees]
    if not later:
        return "none: it is the last comparison"
    if not off:
        return "none: every comparison after it agrees"
    inherited = sum(c.verdict == "inherited" for c in off)
    parts = [
        f"after it, {len(off):,} of {len(later):,} comparisons diverge "
        f"(inherited: {inherited:,}, wrong in isolation: {len(off) - inherited:,})"
    ]
    return "; ".join(parts + [_off_by(c) for c in outcomes(off)])


def other_wrong_layers(case: CaseResult) -> list[tuple[Comparison, str]]:
    """What else is wrong in isolation: each layer once, where it is first explained, with its segments."""
    layers: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in case.wrong[1:]:
        layers.setdefault((comparison.tensor_name.heading, comparison.layer), []).append(comparison)
    segments = [ranges(sorted({c.segment for c in same if c.segment is not None})) for same in layers.values()]
    explained = [next((c for c in same if c.hints), same[0]) for same in layers.values()]
    return list(zip(explained, segments, strict=True))


def ranges(numbers: list[int]) -> str:
    """Numbers in rising order, runs of them drawn together: 1-3, 5."""
    runs: list[list[int]] = []
    for value in numbers:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def outcomes(off: list[Comparison]) -> list[Comparison]:
    """The comparisons that show the outcome, of those that are off: the first for each of `OUTCOMES`, or the last."""
    measured = [c for c in off if c.own.worst is not None]
    named = [next((c for c in measured if c.name.split("/")[-1] == what), None) for what in OUTCOMES]
    return [c for c in named if c is not None] or measured[-1:]


def _off_by(comparison: Comparison) -> str:
    measure = comparison.own if comparison.end_to_end.agrees else comparison.end_to_end
    assert measure.worst is not None
    if measure.problem or comparison.exact:
        return f"{comparison.name}: {distance(measure, comparison.exact)}"
    values = f"{number(measure.worst.recorded)} recorded, {number(measure.worst.port)} subject"
    return f"{comparison.name} is off by {short(measure.error)} ({values})"


def summary(result: SuiteResult) -> list[str]:
    """The counts, a line each."""
    lines = [
        f"{result.recorded:,} tensors recorded, {result.compared:,} compared (in {result.comparisons:,} comparisons), "
        f"{result.recorded - result.compared:,} skipped"
    ]
    lines += [f"  skipped: {count:,} {reason}" for reason, count in sorted(result.skipped.items())]
    return lines + result.notes


def verdict(result: SuiteResult) -> str:
    """The headline of every report. Where live Julia was asked for and did not run, it says so."""
    count = len(result.cases)
    diverging = sum(case.verdict == "diverges" for case in result.cases)
    errors = sum(case.verdict == "error" for case in result.cases)
    reason = " ".join(result.live_missing.split())  # a headline is one line
    live = f"; live Julia did not run: {reason}" if reason else ""
    if not count:
        return f"ERROR: no recording was compared{live}"
    if not diverging and not errors:
        if live:
            return f"INCOMPLETE: the recordings agree{live}"
        recordings = "the recording agrees" if count == 1 else f"all {count} recordings agree"
        return f"AGREEMENT: {recordings}, in {result.seconds:.0f} s"
    parts = [f"{diverging} {'diverges' if diverging == 1 else 'diverge'}"] if diverging else []
    parts += [f"{errors} could not be run"] if errors else []
    kind = "DIVERGENCE" if diverging else "ERROR"
    return f"{kind}: of {count} {'recording' if count == 1 else 'recordings'}, {' and '.join(parts)}{live}"
