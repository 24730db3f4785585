"""The report as JSON, in the format that `schema.json` beside this file publishes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from parity.measure import Measure, Worst
from parity.report import words
from parity.results import CaseResult, Comparison, Hint, SuiteResult
from parity.tolerance import MULTIPLE
from sharnn_py.files import write_text

FORMAT = "sharnn parity 2"
SCHEMA = Path(__file__).with_name("schema.json")
STEP_DIGITS = 4
"""Significant digits of the profile over steps; everything else is written in full."""


def to_json(result: SuiteResult) -> dict[str, Any]:
    """Everything, as JSON can hold it: numbers that are infinite or not a number become strings."""
    return {**_suite(result), "cases": [to_json_case(case) for case in result.cases]}


def to_json_case(case: CaseResult) -> dict[str, Any]:
    """One case with all its comparisons."""
    return {**_case(case), "comparisons": [_comparison(c) for c in case.comparisons]}


def write_json(result: SuiteResult, path: Path) -> None:
    """Every comparison with its numbers, one a line."""
    cases = (_with_rows(_case(case), "comparisons", map(_comparison, case.comparisons)) for case in result.cases)
    write_text(path, _with_lines(_suite(result), "cases", cases) + "\n")


def _with_rows(value: dict[str, Any], key: str, rows: Iterable[dict[str, Any]]) -> str:
    return _with_lines(value, key, (_dumps(row) for row in rows))


def _with_lines(value: dict[str, Any], key: str, lines: Iterable[str]) -> str:
    """`value` with one more entry: a list with a line for each of its elements, which are JSON already."""
    return _dumps(value)[:-1] + f',"{key}":[\n' + ",\n".join(lines) + "\n]}"


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


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
        "name": case.name,
        "reference": case.reference,
        "subject": case.subject,
        "verdict": case.verdict,
        "problem": case.problem,
        "seconds": case.seconds,
        "recorded": case.recorded,
        "compared": case.compared,
        "wrong": len(case.wrong),
        "inherited": len(case.inherited),
        "first": None if first is None else first.name,
        "growth": [
            {"segment": segment, "arrived": _number(end_to_end), "local": _number(isolated)}
            for segment, (end_to_end, isolated) in sorted(case.growth.items())
        ],
        "left_out": case.skipped,
        "provenance": case.provenance,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "name": comparison.name,
        "recorded": comparison.recorded,
        "layer": comparison.layer,
        "segment": comparison.segment,
        "where": comparison.where,
        "verdict": comparison.verdict,
        "exact": comparison.exact,
        "shape": list(comparison.shape),
        "arrived": _measure(comparison.end_to_end),
        "local": None if comparison.isolated is None else _measure(comparison.isolated),
        "hints": [_hint(hint) for hint in comparison.hints],
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        "agrees": measure.agrees,
        "problem": measure.problem,
        "error": _number(measure.error),
        "rounding": _number(measure.rounding),
        "scale": _number(measure.scale),
        "tolerance": _number(measure.tolerance),
        "units": _number(measure.units),
        "worst": None if measure.worst is None else _worst(measure.worst),
        "first_bad_step": measure.first_bad_step,
        "steps": [_number(float(f"{units:.{STEP_DIGITS}g}")) for units in measure.steps],
    }


def _worst(worst: Worst) -> dict[str, Any]:
    return {
        "index": list(worst.index),
        "recorded": _value(worst.recorded),
        "subject": _value(worst.port),
        "truth": _value(worst.truth),
    }


def _hint(hint: Hint) -> dict[str, Any]:
    return {"says": hint.description, "at": hint.at, "before": _number(hint.before), "after": _number(hint.after)}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _value(value: object) -> object:
    """An element of a tensor, or of recorded data."""
    if isinstance(value, float):
        return _number(value)
    return value if isinstance(value, (bool, int)) else str(value)
