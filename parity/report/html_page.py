"""The report as one HTML page that opens from disk and asks for nothing else."""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from parity.report import words
from parity.report.columns import COLUMNS, Column
from parity.report.page_data import as_script, page_data
from parity.results import CaseResult, SuiteResult
from parity.tolerance import MULTIPLE

PAGE = Path(__file__).parent / "page"
BANDS = (0.1, 0.3, 1.0, 4.0, MULTIPLE, 1e2, 1e3, 1e4, 1e6)
"""Where the colours of the heat map change, in units of rounding; the tolerance is one of them."""
OPENED = 3
"""How many diverging cases are expanded when the page opens."""
PROFILE_NUMBERS = 200_000
"""How many numbers all profiles over steps may take in a page: a megabyte."""
SHOWN_WRONG = 30


def render(result: SuiteResult, ledger: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page. `ledger` has the known differences, each with whatever keys it has; none leaves the section out.

    Keys that have numbers or words in every entry are columns, the others are shown when an entry is opened.
    """
    environment = jinja(PAGE)
    environment.filters["entries"] = _entries
    environment.filters["band"] = _band
    style, script = _read("page.css") + _read("figures.css"), _read("chart.js") + _read("page.js")
    off = [(number, case) for number, case in enumerate(result.cases) if not case]
    agreeing = [(number, case) for number, case in enumerate(result.cases) if case]
    keys = list(dict.fromkeys(key for row in ledger for key in row))
    page = environment.get_template("page.html.j2").render(
        result=result,
        words=words,
        off=off,
        agreeing=agreeing,
        opened={number for number, _ in off[:OPENED]},
        data=lambda case: Markup(as_script(page_data(case, PROFILE_NUMBERS // max(1, len(result.cases))))),
        ledger=ledger,
        anchors={row["id"]: f"known-{number}" for number, row in enumerate(ledger) if "id" in row},
        columns=[key for key in keys if all(_is_scalar(row.get(key)) for row in ledger)],
        details=[key for key in keys if not all(_is_scalar(row.get(key)) for row in ledger)],
        allowed=MULTIPLE,
        bands=BANDS,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        standing=_standing(result),
        shown_wrong=SHOWN_WRONG,
        tiles=_tiles(result),
        case_columns=COLUMNS,
        column_class=_column_class,
        reasons=_reasons,
    )
    return words.legible(page)


def jinja(folder: Path) -> Environment:
    """What makes pages of the templates in `folder`: everything is escaped, and nothing may be missing."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style_alone(more: str = "") -> tuple[Markup, str]:
    """The pages' style, with `more` of a page's own, and the policy of a page that has no script."""
    style = _read("page.css") + more
    return Markup(style), _policy(style, "")


def _read(name: str) -> str:
    return (PAGE / name).read_text("utf-8")


def _standing(result: SuiteResult) -> str:
    """The class that colours the headline."""
    if any(case.verdict == "diverges" for case in result.cases):
        return "diverges"
    return "agrees" if result and not result.live_missing else "error"


def _tiles(result: SuiteResult) -> list[tuple[str, str, str]]:
    """The counts at the head of the page: what, how many, and the class that colours it."""
    verdicts = [case.verdict for case in result.cases]
    counts = [
        ("recordings", len(verdicts), ""),
        ("agree", verdicts.count("agrees"), "agrees"),
        ("diverge", verdicts.count("diverges"), "diverges"),
        ("could not be run", verdicts.count("error"), "error"),
        ("tensors recorded", result.recorded, ""),
        ("compared", result.compared, ""),
        ("comparisons", result.comparisons, ""),
        ("skipped", result.recorded - result.compared, ""),
    ]
    coloured = [(what, f"{count:,}", kind if count else "") for what, count, kind in counts]
    return [*coloured, ("seconds", f"{result.seconds:,.0f}", "")]


def _reasons(case: CaseResult) -> list[tuple[str, list[str]]]:
    """The skipped tensors, by reason."""
    named: dict[str, list[str]] = {}
    for name, reason in case.skipped.items():
        named.setdefault(reason, []).append(name)
    return sorted(named.items())


def _column_class(column: Column) -> str:
    return " ".join(["n"] * column.is_number + ["wide"] * (not column.on_narrow_pages))


def _is_scalar(value: object) -> bool:
    return not isinstance(value, (Mapping, list, tuple))


def _entries(value: object) -> list[str]:
    """What an entry of the ledger has under a key, a line for each element."""
    if isinstance(value, Mapping):
        return [", ".join(f"{key}: {' '.join(_entries(entry))}" for key, entry in value.items())]
    if isinstance(value, (list, tuple)):
        return [line for element in value for line in _entries(element)]
    return [] if value is None else [f"{value:.4g}" if isinstance(value, float) else str(value)]


def _band(edge: float) -> str:
    return f"{edge:g}" if edge < 1000 else "10" + "⁰¹²³⁴⁵⁶⁷⁸⁹"[round(math.log10(edge))]


def _policy(style: str, script: str) -> str:
    """What a browser lets the page do: apply this style, run this script, load nothing."""
    allowed = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    sources = [f"{kind}-src 'sha256-{digest}'" for kind, digest in zip(("style", "script"), allowed, strict=True)]
    return "; ".join(["default-src 'none'", "img-src data:", *sources, "base-uri 'none'", "form-action 'none'"])
