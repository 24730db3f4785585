"""The result as JSON, as JUnit XML, and as a page, in a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from parity.report.encode import encode
from parity.report.words import legible
from parity.sharnn.training import page, words
from parity.sharnn.training.compare import FACTOR
from parity.sharnn.training.results import TrainingParity
from sharnn_py.files import write_bytes

FORMAT = "sharnn parity train 1"


def to_json(result: TrainingParity) -> dict[str, Any]:
    """Everything that was measured, for `json.dumps(..., allow_nan=False)`."""
    trajectories = [
        {
            "optimiser": found.program,
            "precision": found.precision,
            "agrees": bool(found),
            "why": words.why(found),
            "updates_asked": found.asked,
            "updates": [{**asdict(m), "agrees": m.agrees, "loss_agrees": m.loss_agrees} for m in found.updates],
            "first": None
            if found.first is None
            else {"update": found.first.measured.number, "parameters": [asdict(p) for p in found.first.off]},
            "problem": found.problem,
        }
        for found in result.trajectories
    ]
    content = {
        "format": FORMAT,
        "verdict": words.verdict(result),
        "headline": words.headline(result),
        "agrees": bool(result),
        "exit_code": result.exit_code,
        "seconds": result.seconds,
        "factor": FACTOR,
        "facts": result.facts,
        "recorded_updates": [{**asdict(r), "agrees": bool(r)} for r in result.recorded],
        "trainings": trajectories,
    }
    encoded: dict[str, Any] = encode(content)
    return encoded


def write_junit(result: TrainingParity, path: Path) -> None:
    """A suite for the optimisers against their recordings, and one for each training. Raises `OSError`."""
    document = JUnitXml("sharnn parity train")
    suite = TestSuite("Julia's optimisers")
    for recorded in result.recorded:
        wrong = f"{recorded.wrong} is off" if recorded.wrong else ""
        suite.add_testcase(_test("Julia's optimisers", recorded.recording, wrong))
    document.add_testsuite(suite)
    for program in dict.fromkeys(found.program for found in result.trajectories):
        name = f"training by {words.OPTIMISERS[program]}"
        suite = TestSuite(name)
        for found in result.trajectories:
            if found.program == program:
                suite.add_testcase(_test(name, found.precision, words.why(found)))
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    document._elem.attrib.pop("skipped", None)  # as in parity.report.junit_file
    write_bytes(path, document.tostring())  # type: ignore[no-untyped-call]


def write_page(result: TrainingParity, folder: Path) -> Path:
    """Write the page into `folder`. Returns where it is. Raises `OSError`."""
    path = folder / "training.html"
    write_bytes(path, page.render(result).encode())
    return path


def _test(suite: str, name: str, wrong: str) -> TestCase:
    test = TestCase(legible(name), classname=suite)
    if wrong:
        test.result = [Failure(legible(wrong), "wrong")]
    return test
