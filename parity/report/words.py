"""What all reports say in the same words."""

import math
import re
from dataclasses import dataclass

from parity.measure import Measure, Worst
from parity.results import CaseResult, Comparison, Hint, SuiteResult
from parity.tolerance import MULTIPLE

OUTCOMES = ("logits", "loss")
"""Last parts of the names of what a model is judged by; where a case has none, its last divergence is named."""
ILLEGIBLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
UNEXPLAINED = "no explanation was confirmed"
COUNT = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
SHOWN_LAYERS = 3


def number(value: object) -> str:
    """A number as it is shown: enough digits to tell two float32 apart."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def short(value: float) -> str:
    """A number to three digits."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if 1e3 <= abs(rounded) < 1e6 else f"{rounded:.3g}"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 comparison", "2 comparisons"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def legible(text: str) -> str:
    """`text` as any report can hold it: what XML forbids and what steers a terminal is replaced."""
    return ILLEGIBLE.sub("\ufffd", text)


def distance(measure: Measure, exact: bool, isolates: bool = True) -> str:
    """How far apart, in units of rounding, and how many are allowed; without `isolates`, of two recordings."""
    if measure.problem:
        return measure.problem
    if exact:
        differing = "elements differ" if measure.error != 1 else "element differs"
        return f"{measure.error:,.0f} {differing}; all should be equal"
    one = f"{MULTIPLE:g} are allowed; one is {short(measure.tolerance / MULTIPLE)} here"
    if measure.imprecision > measure.tolerance >= measure.error:
        return (
            f"the subject's own run in the recording's precision is {short(measure.imprecision)} from its float64 run, "
            f"{short(measure.units)} units of rounding ({one}); the recording is {short(measure.error)} from the "
            "float64 run"
        )
    other = "the truth" if isolates else "the other recording"
    if math.isinf(measure.units):
        return f"{short(measure.error)} from {other}, where no rounding is allowed at all"
    return f"{short(measure.error)} from {other}, {short(measure.units)} units of rounding ({one})"


def worst(measure: Measure, exact: bool, isolates: bool = True) -> str:
    """The worst element with all values; nothing if none is known."""
    return "" if measure.worst is None else f"worst element {element(measure.worst, exact, isolates)}"


def element(worst: Worst, exact: bool, isolates: bool = True) -> str:
    """An element's index and values; without `isolates`, those of two recordings."""
    if not isolates:
        return f"{list(worst.index)}: first {number(worst.recorded)}, second {number(worst.port)}"
    values = f"recorded {number(worst.recorded)}, subject {number(worst.port)}"
    truth = "" if exact else f", truth (subject in float64) {number(worst.truth)}"
    return f"{list(worst.index)}: {values}{truth}"


def first_bad_step(measure: Measure) -> str:
    """The first step above the tolerance; nothing if there is no time axis or no such step."""
    return "" if measure.first_bad_step is None else f"first bad step: {bad_step(measure)}"


def bad_step(measure: Measure) -> str:
    """The first step above the tolerance, and how many steps there are; there must be a bad one."""
    return f"{measure.first_bad_step:,} (of {len(measure.steps):,})"


def hint(given: Hint, layer: str = "") -> str:
    """An explanation and what it was confirmed by: as a rule, how much of the error it takes away.

    `layer` is what it explains, which is not named a second time.
    """
    if given.evidence:
        return f"{given.description} ({given.evidence})"
    return f"{given.description} ({recomputed(given, layer)})"


def recomputed(given: Hint, layer: str = "") -> str:
    """What the error at `layer` is once the tensor that the hint is about is recomputed by it."""
    what = "it" if given.at == layer else given.at
    also = f"; so it does at {' and '.join(given.also_at)}" if given.also_at else ""
    also = f"; not so at {', '.join(given.not_at)}" if given.not_at else also
    return (
        f"recomputing {what} this way reduces the error from {short(given.before)} to {short(given.after)} units of "
        f"rounding{also}"
    )


def diagnosis(comparison: Comparison) -> list[str]:
    """Why the first wrong layer is wrong, a line for each explanation."""
    return [hint(given, comparison.layer) for given in comparison.hints] or [UNEXPLAINED]


def sentence(case: CaseResult) -> str:
    """What is off first, what is computed there, and what the reference computes; "" for a case that agrees."""
    if case:
        return ""
    if case.problem:
        return f"it could not be run: {case.problem}"
    first = case.first
    if first is None:
        return "nothing in this recording could be compared"
    where = f"{first.name} ({first.where})" if first.where and first.where != first.name else first.name
    if not case.isolates:
        return f"{where} is the first that differs: {distance(first.end_to_end, first.exact, isolates=False)}"
    if first.verdict != "wrong":
        return f"{where} is the first that is off, though no layer is wrong in isolation: {_off(first)}"
    if first.hints:
        return f"{where} is wrong: {'; '.join(hint.description for hint in first.hints)}"
    return f"{where} is wrong: {_off(first)}" + ("" if first.exact or first.own.problem else f"; {UNEXPLAINED}")


def _off(comparison: Comparison) -> str:
    return distance(comparison.own, comparison.exact)


def headline(result: SuiteResult) -> str:
    """The sentence of the first case that diverges, or could not be run; "" where all agree.

    Of several cases it begins with the name of the one that it is about.
    """
    order = sorted((case for case in result.cases if not case), key=lambda case: bool(case.problem))
    if not order:
        return ""
    about = f"{order[0].name}: " if len(result.cases) > 1 else ""
    return about + sentence(order[0])


def standing(case: CaseResult) -> str:
    """What is known of the first divergence. The case must have one."""
    if not case.isolates:
        return "the first that differs; no program was run, so what is wrong by itself is not known"
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
    diverge = "diverges" if len(off) == 1 else "diverge"
    said = f"after it, {len(off):,} of {counted(len(later), 'comparison')} {diverge}"
    if case.isolates:
        inherited = sum(c.verdict == "inherited" for c in off)
        said += f" (inherited: {inherited:,}, wrong in isolation: {len(off) - inherited:,})"
    return "; ".join([said] + [_off_by(c) for c in outcomes(off)])


@dataclass(frozen=True)
class Finding:
    """What one cause makes wrong: one row of a report, however many layers and segments have it."""

    at: Comparison
    """Where it is first explained."""
    layers: list[str]
    segments: list[int]

    @property
    def place(self) -> str:
        """The layers, of which a few are named."""
        return _few(self.layers)

    @property
    def when(self) -> str:
        """The segments, runs of them drawn together."""
        return ranges(self.segments)


def also_wrong(case: CaseResult) -> tuple[Finding | None, list[Finding]]:
    """What else is wrong in isolation: where the first divergence's own cause shows as well, and the other causes.

    Layers with the same diagnosis have one cause, and so has one layer in several segments.
    """
    if not case.isolates or not case.wrong:
        return None, []
    cause: dict[tuple[str, str], object] = {}
    for c in case.wrong:
        # What is found of a layer once holds of it in every segment, unless it was looked for there and not found.
        if c.hints and not any(hint.not_at for hint in c.hints):
            cause.setdefault((c.tensor_name.heading, c.layer), tuple(sorted(_kind(h.description) for h in c.hints)))
    rows: dict[object, list[Comparison]] = {}
    for c in case.wrong:
        layer = (c.tensor_name.heading, c.layer)
        rows.setdefault(cause.get(layer, layer), []).append(c)
    own, *others = rows.values()
    rest = [c for c in own if c is not case.first]
    return (_finding(rest, own) if rest else None), [_finding(same, same) for same in others]


def same(case: CaseResult) -> str:
    """What the first divergence and its likes in `also_wrong` have in common, as far as is known."""
    hints = () if case.first is None else case.first.hints
    return "the same cause" if hints and not any(hint.not_at for hint in hints) else "the same layer"


def at(finding: Finding) -> str:
    """Where a cause shows: layers, and segments if it belongs to any."""
    return finding.place + (f" (segments {finding.when})" if finding.segments else "")


def _finding(same: list[Comparison], ordered: list[Comparison]) -> Finding:
    """Of the same cause; `ordered` has their layers in order of computation."""
    explained = next((c for c in same if c.hints), same[0])
    layers = {c.layer for c in same}
    segments = {c.segment for c in same if c.segment is not None}
    return Finding(explained, [n for n in dict.fromkeys(c.layer for c in ordered) if n in layers], sorted(segments))


def _kind(description: str) -> str:
    """An explanation without its numbers, which are each place's own."""
    return COUNT.sub("#", description)


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_LAYERS])
    return shown + (f" and {len(names) - SHOWN_LAYERS:,} more" if len(names) > SHOWN_LAYERS else "")


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
        f"{counted(result.recorded, 'tensor')} recorded, {result.compared:,} compared (in "
        f"{counted(result.comparisons, 'comparison')}), "
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
