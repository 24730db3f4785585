"""What the terminal says of a case that diverges: the first wrong layer, why, its consequences, what else is wrong."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from parity.report import words
from parity.results import CaseResult

SHOWN_WRONG = 10
SHOWN_SEGMENTS = 10
WIDE = 72
"""Columns of a terminal from which errors stand beside what they are of."""
TITLE, NUMBER = 12, 10
"""The least width of a table's first column, and of one with a number in it."""


def lines(case: CaseResult) -> Iterator[str]:
    """Markup: the first wrong layer with its errors and diagnosis, and its consequences."""
    first = case.first
    if first is None:
        yield words.sentence(case)
        return
    yield f"first: [bold]{safe(first.name)}[/] ({safe(first.where)}), {words.standing(case)}"
    if first.isolated is not None and not first.exact:
        yield f"isolated: {safe(words.distance(first.isolated, first.exact))}"
        yield f"end to end: {safe(words.distance(first.end_to_end, first.exact))}"
    else:
        yield safe(words.distance(first.end_to_end, first.exact, case.isolates))
    for line in (words.worst(first.own, first.exact, case.isolates), words.first_bad_step(first.own)):
        if line:
            yield safe(line)
    if first.verdict == "wrong" and case.isolates:
        for line in words.diagnosis(first):
            yield f"why: {safe(line)}"
    same, _ = words.also_wrong(case)
    if same is not None:
        yield f"{words.same(case)}: {safe(words.at(same))}"
    if case.known:
        yield f"known: {safe(', '.join(sorted(set(case.known.values()))))}, in the ledger of known differences"
    yield f"consequences: {safe(words.consequences(case))}"


def tables(case: CaseResult, width: int) -> Iterator[Table]:
    """What else is wrong in isolation, and how the error grows over segments, as wide as `width` at most."""
    _, others = words.also_wrong(case)
    if others:
        yield _others(others, width)
    if len(case.growth) > 1:
        yield _growth(case, width)


def safe(text: str) -> str:
    """`text` as markup that shows it as it is."""
    return escape(words.legible(text))


def _others(others: list[words.Finding], width: int) -> Table:
    wide = width >= WIDE
    table = Table(box=None, pad_edge=False)
    table.add_column("also wrong in isolation", overflow="fold")
    table.add_column("segments", overflow="fold")
    if wide:
        table.add_column("units", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for finding in others[:SHOWN_WRONG]:
        comparison = finding.at
        measure, why = comparison.own, [hint.description for hint in comparison.hints]
        measured = not measure.problem and not comparison.exact
        if not measured:
            why.insert(0, words.distance(measure, comparison.exact))
        units = [words.short(measure.units) if measured else ""] if wide else []
        place = comparison.name if len(finding.layers) == 1 else finding.place
        table.add_row(safe(place), finding.when, *units, safe("; ".join(why)))
    if len(others) > SHOWN_WRONG:
        more = words.counted(len(others) - SHOWN_WRONG, "more cause", "more causes")
        table.add_row(f"and {more}", *[""] * (len(table.columns) - 1))
    return table


def _growth(case: CaseResult, width: int) -> Table:
    """The largest error of each segment; of more than there is room for, some from the first to the last."""
    growth, segments = case.growth, sorted(case.growth)
    shown = min(SHOWN_SEGMENTS, max(2, (width - TITLE) // NUMBER))
    if len(segments) > shown:
        last = len(segments) - 1
        segments = [segments[round(n * last / (shown - 1))] for n in range(shown)]
    table = Table(box=None, pad_edge=False)
    table.add_column("largest error in segment, in units of rounding", min_width=10)
    for segment in segments:
        table.add_column(str(segment), justify="right", no_wrap=True)
    table.add_row("end to end", *(words.short(growth[segment][0]) for segment in segments))
    if case.isolates:
        table.add_row("isolated", *(words.short(growth[segment][1]) for segment in segments))
    return table
