"""The columns that the terminal's and the page's table of recordings have in common; to add one, add it here."""

from collections.abc import Callable
from dataclasses import dataclass

from parity.report import words
from parity.results import CaseResult
from parity.tolerance import MULTIPLE


@dataclass(frozen=True)
class Column:
    """One column between a recording's name and its result."""

    title: str
    text: Callable[[CaseResult], str]
    is_number: bool = True
    on_narrow_pages: bool = False
    """Whether a page as wide as a phone shows it, and a narrow terminal for as long as it can."""


def _worst(case: CaseResult) -> str:
    return "" if case.closest is None else words.short(case.closest.own.units)


COLUMNS = (
    Column("subject", lambda case: case.subject, is_number=False),
    Column("recorded", lambda case: f"{case.recorded:,}"),
    Column("compared", lambda case: f"{case.compared:,}"),
    Column("skipped", lambda case: f"{len(case.skipped):,}"),
    Column(f"worst (of {MULTIPLE:g} units)", _worst, on_narrow_pages=True),
)
