"""The report as JSON, in the format that `schema.json` beside this file publishes."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from parity.measure import Measure, Worst
from parity.report import words
from parity.report.encode import attributes, encode
from parity.results import CaseResult, Comparison, Hint, SuiteResult
from parity.tolerance import MULTIPLE
from sharnn_py.files import write_text

FORMAT = "sharnn parity 2"
SCHEMA = Path(__file__).with_name("schema.json")
STEP_DIGITS = 4
"""Significant digits of the profile over steps; everything else is written in full."""


def to_json(result: SuiteResult) -> dict[str, Any]:
    """The whole result, encoded by `encode`."""
    content: dict[str, Any] = encode({**_suite(result), "cases": [to_json_case(case) for case in result.cases]})
    return content


def to_json_case(case: CaseResult) -> dict[str, Any]:
    """One case with all its comparisons."""
    content: dict[str, Any] = encode({**_case(case), "comparisons": [_comparison(c) for c in case.comparisons]})
    return content


def write_json(result: SuiteResult, path: Path) -> None:
    """Every comparison with its numbers, one a line."""
    cases = (
        _with_lines(_case(case), "comparisons", (_dumps(_comparison(c)) for c in case.comparisons))
        for case in result.cases
    )
    write_text(path, _with_lines(_suite(result), "cases", cases) + "\n")


def _with_lines(value: dict[str, Any], key: str, lines: Iterable[str]) -> str:
    """`value` with one more entry: a list with a line for each of its elements, which are JSON already."""
    return _dumps(value)[:-1] + f',"{key}":[\n' + ",\n".join(lines) + "\n]}"


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(encode(value), allow_nan=False, separators=(",", ":"))


def _suite(result: SuiteResult) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "agrees": bool(result),
        "exit_code": result.exit_code,
        "verdict": words.verdict(result),
        "recorded": result.recorded,
        "compared": result.compared,
        "left_out": dict(sorted(result.skipped.items())),
        "seconds": result.seconds,
        "allowed_units": MULTIPLE,
        "environment": result.environment,
        "notes": result.notes,
    }


def _case(case: CaseResult) -> dict[str, Any]:
    first = case.first
    return {
        **attributes(case, "name", "reference", "subject", "verdict", "problem", "seconds", "recorded", "compared"),
        "wrong": len(case.wrong),
        "inherited": len(case.inherited),
        "first": None if first is None else first.name,
        "growth": [
            {"segment": segment, "arrived": end_to_end, "local": isolated}
            for segment, (end_to_end, isolated) in sorted(case.growth.items())
        ],
        "left_out": case.skipped,
        "provenance": case.provenance,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        **attributes(comparison, "name", "recorded", "layer", "segment", "where", "verdict", "exact", "shape"),
        "arrived": _measure(comparison.end_to_end),
        "local": None if comparison.isolated is None else _measure(comparison.isolated),
        "hints": [_hint(hint) for hint in comparison.hints],
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        **attributes(measure, "agrees", "problem", "error", "rounding", "imprecision", "scale", "tolerance", "units"),
        "worst": None if measure.worst is None else _worst(measure.worst),
        "first_bad_step": measure.first_bad_step,
        "steps": encode(measure.steps, STEP_DIGITS),
    }


def _worst(worst: Worst) -> dict[str, Any]:
    return {"index": worst.index, "recorded": worst.recorded, "subject": worst.port, "truth": worst.truth}


def _hint(hint: Hint) -> dict[str, Any]:
    found = {"says": hint.description, "at": hint.at, "before": hint.before, "after": hint.after}
    more = {"evidence": hint.evidence, "also_at": hint.also_at, "not_at": hint.not_at}
    return found | {key: value for key, value in more.items() if value}
