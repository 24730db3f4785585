"""The report as files: JSON, JUnit XML, Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
from itertools import groupby
from pathlib import Path
from typing import Any

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from parity.compare import Comparison
from parity.report import words
from parity.results import CaseResult, SuiteResult
from sharnn_py.files import write_bytes, write_text

FORMAT = "sharnn parity 1"


def to_json(result: SuiteResult) -> dict[str, Any]:
    """Everything, as JSON can hold it: numbers that are infinite or not a number become strings."""
    return {
        "format": FORMAT,
        "agrees": bool(result),
        "exit_code": result.exit_code,
        "recorded": result.recorded,
        "compared": result.compared,
        "seconds": result.seconds,
        "environment": result.environment,
        "notes": result.notes,
        "cases": [_case_to_json(case) for case in result.cases],
    }


def _case_to_json(case: CaseResult) -> dict[str, Any]:
    values = {field.name: getattr(case, field.name) for field in dataclasses.fields(case)}
    values["comparisons"] = [_finite({**dataclasses.asdict(c), "ratio": c.ratio}) for c in case.comparisons]
    first = case.first
    return {
        **values,
        "verdict": case.verdict,
        "compared": case.compared,
        "first": None if first is None else first.name,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write_json(result: SuiteResult, path: Path) -> None:
    """Every comparison with its numbers."""
    write_text(path, json.dumps(to_json(result), indent=1, allow_nan=False) + "\n")


def write_junit(result: SuiteResult, path: Path) -> None:
    """A test suite for each recording, a test for each numbered group of tensors in it (`eval/1`, `grad/2`, ...)."""
    document = JUnitXml("sharnn parity")
    for case in result.cases:
        suite = TestSuite(case.name)
        if case.problem:
            suite.add_testcase(_test(case, "recording", Error(case.problem)))
        elif not case.comparisons:
            suite.add_testcase(_test(case, "recording", Failure("nothing could be compared")))
        for group, members in groupby(case.comparisons, _group):
            diverging = [c for c in members if not c]
            failure = Failure(f"{diverging[0].name}: {words.distance(diverging[0])}") if diverging else None
            if failure is not None:
                failure.text = "\n".join(f"{c.name}: {words.distance(c)}" for c in diverging)
            suite.add_testcase(_test(case, group, failure))
        suite.time = case.seconds
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    write_bytes(path, document.tostring())  # type: ignore[no-untyped-call]


def _group(comparison: Comparison) -> str:
    parts = comparison.name.split("/")
    group = "/".join(parts[:2]) if len(parts) > 2 or parts[0] not in ("param", "const") else parts[0]
    return f"{group} ({comparison.run})" if comparison.run else group


def _test(case: CaseResult, name: str, fault: Failure | Error | None) -> TestCase:
    test = TestCase(name, classname=case.name)
    if fault is not None:
        test.result = [fault]
    return test


def write_report(result: SuiteResult, folder: Path) -> Path:
    """Write `report.md`, `report.json` and `junit.xml` into `folder`, made if need be. Returns the readable one."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(result, folder / "report.json")
    write_junit(result, folder / "junit.xml")
    write_text(folder / "report.md", "\n".join(_markdown(result)) + "\n")
    return folder / "report.md"


def _markdown(result: SuiteResult) -> list[str]:
    lines = ["# Parity report", "", f"**{words.verdict(result)}**", "", *_indented(words.summary(result)), ""]
    lines += ["## Recordings", ""]
    lines += ["| recording | semantics | recorded | compared | left out | worst / allowed | nearest | result |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | --- | --- |"]
    for case in result.cases:
        closest = case.closest
        ratio, name = ("", "") if closest is None else (f"{closest.ratio:.2f}", f"`{closest.name}`")
        cells = (case.name, case.semantics, case.recorded, case.compared, len(case.left_out), ratio, name, case.verdict)
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    for case in result.cases:
        if case.problem:
            lines += ["", f"## {case.name}", "", f"Could not be run: {case.problem}"]
        elif not case:
            lines += ["", f"## {case.name}", "", *_divergence(case)]
    lines += ["", "## How it was run", ""]
    lines += [f"- {key}: {value}" for key, value in result.environment.items()]
    lines += ["", "## How the recordings were made", ""]
    for case in result.cases:
        made = "; ".join(f"{key}: {value}" for key, value in sorted(case.provenance.items()))
        lines.append(f"- {case.name}: {made}")
    return lines


def _indented(lines: list[str]) -> list[str]:
    return [f"- {line.strip()}" for line in lines]


def _divergence(case: CaseResult) -> list[str]:
    if not case.comparisons:
        return ["Nothing in it could be compared."]
    first = case.divergences[0]
    lines = [f"First divergence: `{first.name}` {first.run} ({first.where})", ""]
    lines += [f"- {words.distance(first)}"]
    lines += [f"- {words.worst(first)}"] if first.worst else []
    lines += [f"- what follows: {words.what_follows(case)}", ""]
    lines += ["| tensor | run | where | distance | allowed | times |", "| --- | --- | --- | ---: | ---: | ---: |"]
    for c in case.divergences:
        numbers = f"{c.problem} | | " if c.problem else f"{c.error:.3g} | {c.tolerance:.3g} | {c.ratio:.3g}"
        lines.append(f"| `{c.name}` | {c.run} | {c.where} | {numbers} |")
    return lines
