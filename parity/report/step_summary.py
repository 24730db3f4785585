"""The report as GitHub shows it on the page of a run: Markdown, appended to the file that a step is given for it."""

import os
from collections.abc import Sequence
from pathlib import Path

from parity.report import words
from parity.results import SuiteResult

VARIABLE = "GITHUB_STEP_SUMMARY"
LISTED = 50
"""Cases that the table names; the reports have them all."""


def write_step_summary(result: SuiteResult) -> None:
    """Append what is wrong first, the verdict and the diverging cases to the file that `VARIABLE` names, if it is set.

    Raises `OSError` if that file cannot be written.
    """
    _append(markdown(result))


def write_short_summary(verdict: str, sentences: Sequence[str]) -> None:
    """Append a verdict and what is to be said of it to the file that `VARIABLE` names, if it is set.

    Raises `OSError` if that file cannot be written.
    """
    _append("\n\n".join([f"### {_plain(verdict)}", *map(_plain, sentences), ""]))


def _append(text: str) -> None:
    given = os.environ.get(VARIABLE)
    if given:
        with Path(given).open("a", encoding="utf-8") as file:
            file.write(text)


def markdown(result: SuiteResult) -> str:
    """What `write_step_summary` appends."""
    lines = [f"### {_plain(words.verdict(result))}", ""]
    if sentence := words.headline(result):
        lines += [_plain(sentence), ""]
    off = [case for case in result.cases if not case]
    if off and len(result.cases) > 1:
        lines += ["| recording | result | first |", "| --- | --- | --- |"]
        lines += [f"| {_plain(c.name)} | {c.verdict} | {_plain(words.sentence(c))} |" for c in off[:LISTED]]
        lines += ["", f"and {len(off) - LISTED:,} more"] if len(off) > LISTED else []
        lines.append("")
    return "\n".join([*lines, *(_plain(line) for line in words.summary(result)[:1]), "", ""])


def _plain(text: str) -> str:
    """`text` as Markdown that shows it as it is, on one line."""
    shown = " ".join(words.legible(text).split())
    for sign in "\\`*_[]<>|#~$":
        shown = shown.replace(sign, f"&#{ord(sign)};" if sign in "<>|" else f"\\{sign}")
    return shown
