"""What the terminal says of a case that diverges: the first wrong layer, why, its consequences, what else is wrong."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from parity.report import words
from parity.results import CaseResult, Comparison

SHOWN_WRONG = 10
SHOWN_SEGMENTS = 10


def lines(case: CaseResult) -> Iterator[str]:
    """Markup: the first wrong layer with its errors and diagnosis, and its consequences."""
    first = case.first
    if first is None:
        yield "nothing in this recording could be compared"
        return
    yield f"first: [bold]{safe(first.name)}[/] ({safe(first.where)}), {words.standing(case)}"
    if first.isolated is not None and not first.exact:
        yield f"isolated: {safe(words.distance(first.isolated, first.exact))}"
        yield f"end to end: {safe(words.distance(first.end_to_end, first.exact))}"
    else:
        yield safe(words.distance(first.end_to_end, first.exact))
    for line in (words.worst(first.own, first.exact), words.first_bad_step(first.own)):
        if line:
            yield safe(line)
    if first.verdict == "wrong":
        for line in words.diagnosis(first):
            yield f"why: {safe(line)}"
    yield f"consequences: {safe(words.consequences(case))}"


def tables(case: CaseResult) -> Iterator[Table]:
    """The other layers that are wrong in isolation, and how the error grows over segments."""
    others = words.other_wrong_layers(case)
    if others:
        yield _others(others)
    if len(case.growth) > 1:
        yield _growth(case.growth)


def safe(text: str) -> str:
    """`text` as markup that shows it as it is."""
    return escape(words.legible(text))


def _others(others: list[tuple[Comparison, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("also wrong in isolation", overflow="fold")
    table.add_column("segments", overflow="fold")
    for name in ("error", "allowed", "times"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for comparison, segments in others[:SHOWN_WRONG]:
        measure, why = comparison.own, [hint.description for hint in comparison.hints]
        if measure.problem or comparison.exact:
            numbers = ("", "", "")
            why.insert(0, words.distance(measure, comparison.exact))
        else:
            numbers = (words.short(measure.error), words.short(measure.tolerance), words.ratio(measure.ratio))
        table.add_row(safe(comparison.name), segments, *numbers, safe("; ".join(why)))
    if len(others) > SHOWN_WRONG:
        table.add_row(f"and {len(others) - SHOWN_WRONG:,} more layers", *[""] * 5)
    return table


def _growth(growth: dict[int, tuple[float, float]]) -> Table:
    """The largest error of each segment; of many segments, some from the first to the last."""
    segments = sorted(growth)
    if len(segments) > SHOWN_SEGMENTS:
        last = len(segments) - 1
        segments = [segments[round(n * last / (SHOWN_SEGMENTS - 1))] for n in range(SHOWN_SEGMENTS)]
    table = Table(box=None, pad_edge=False)
    table.add_column("largest error in segment, in units of rounding")
    for segment in segments:
        table.add_column(str(segment), justify="right")
    table.add_row("end to end", *(words.short(growth[segment][0]) for segment in segments))
    table.add_row("isolated", *(words.short(growth[segment][1]) for segment in segments))
    return table
