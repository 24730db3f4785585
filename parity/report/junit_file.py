"""The report as JUnit XML, for CI."""

from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from parity.recording.names import TensorName
from parity.report import words
from parity.report.words import legible
from parity.results import CaseResult, Comparison, SuiteResult
from sharnn_py.files import write_bytes

LISTED = 100
"""Tensors that the text of a failure names; the JSON has them all."""


def write_junit(result: SuiteResult, path: Path) -> None:
    """A test suite for each case, a test for each numbered group of tensors in it (`eval/1`, `grad/2`, ...).

    A test fails where a tensor of its group is wrong in isolation, or is the first that is off in a case that has none
    such; the first failure of a case begins with what is wrong there. A group whose tensors only inherit an error is
    skipped, saying from what: it is no failure of its own. A test's time is its share of the case's, by the number of
    comparisons. Live Julia that was asked for and did not run comes first, in a suite of its own: an error where it
    was required, else skipped.
    """
    document = JUnitXml("sharnn parity")
    if result.live_missing:
        document.add_testsuite(_live_missing(result))
    for case in result.cases:
        suite = TestSuite(legible(case.name))
        for key, value in {"reference": case.reference, "subject": case.subject, **case.provenance}.items():
            suite.add_property(legible(key), legible(value))
        suite.add_testcases(_tests(case))
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]
    document._elem.attrib.pop("skipped", None)  # which schemas know of suites, and not of all of them together
    write_bytes(path, document.tostring())  # type: ignore[no-untyped-call]


def _live_missing(result: SuiteResult) -> TestSuite:
    suite, test = TestSuite("live"), TestCase("Julia", classname="live", time=0)
    headline = legible(words.verdict(result))
    test.result = [Error(headline, "did not run") if result.live_required else Skipped(headline)]
    suite.add_testcase(test)
    return suite


def _tests(case: CaseResult) -> list[TestCase]:
    if case.problem:
        return [_test(case, "recording", case.seconds, Error(legible(case.problem), "could not be run"))]
    if not case.comparisons:
        return [_test(case, "recording", case.seconds, Failure("nothing could be compared", "nothing compared"))]
    groups: dict[str, list[Comparison]] = {}
    for comparison in case.comparisons:
        group = str(TensorName(comparison.tensor_name.heading, comparison.segment, ""))
        groups.setdefault(group, []).append(comparison)
    second = case.seconds / len(case.comparisons)
    return [
        _test(case, group, second * len(members), _failure(case, [c for c in members if not c.agrees]))
        for group, members in groups.items()
    ]


def _failure(case: CaseResult, off: list[Comparison]) -> Failure | Skipped | None:
    """The first wrong layer with its diagnosis; where all of a group's errors are inherited, from what."""
    if not off:
        return None
    first = case.first
    wrong = [c for c in off if c.verdict == "wrong"]
    if any(c is first for c in off):
        why = [words.recomputed(hint, c.layer) for c in wrong[:1] for hint in c.hints if not hint.evidence]
        message = "; ".join([words.sentence(case), *why])
    elif wrong:
        why = [words.hint(hint, wrong[0].layer) for hint in wrong[0].hints]
        message = "; ".join([f"{wrong[0].name}: {_distance(case, wrong[0])}", *why])
    else:
        assert first is not None
        what = words.counted(len(off), "tensor inherits", "tensors inherit") if case.isolates else _differ(len(off))
        source = f" an error from {first.name}" if case.isolates else f" after {first.name}"
        message = f"{what}{source}; {off[0].name}: {_distance(case, off[0])}"
        return Skipped(legible(message), "inherited")
    kind = "wrong" if case.isolates else "differs"
    failure = Failure(legible(message), kind if wrong else "inherited")
    lines = [f"{c.name} ({c.verdict if case.isolates else kind}): {_distance(case, c)}" for c in off[:LISTED]]
    lines += [f"and {len(off) - LISTED} more"] if len(off) > LISTED else []
    failure.text = legible("\n".join(lines))
    return failure


def _differ(count: int) -> str:
    return words.counted(count, "tensor differs", "tensors differ")


def _distance(case: CaseResult, comparison: Comparison) -> str:
    return words.distance(comparison.own, comparison.exact, case.isolates)


def _test(case: CaseResult, name: str, seconds: float, fault: Failure | Skipped | Error | None) -> TestCase:
    test = TestCase(legible(name), classname=legible(case.name), time=round(seconds, 4))
    if fault is not None:
        test.result = [fault]
    return test
