"""The JUnit report, as junitparser reads it and as the usual schemas of CI servers want it."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from junitparser import JUnitXml

from parity.report.junit_file import write_junit
from tests.parity import report_samples as samples

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message", "type"},
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure"],
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("junit") / "junit.xml"
    write_junit(samples.rich(), path)
    return path


@pytest.fixture(scope="module")
def suites(path):
    return {suite.name: suite for suite in JUnitXml.fromfile(str(path))}


def failing(suite):
    return {test.name: test.result[0] for test in suite if test.result}


def test_the_structure_is_that_of_the_usual_schemas(path):
    """Above all Jenkins' junit-10.xsd: its attributes, its elements in any order it allows, its form of a time."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ATTRIBUTES.get(element.tag, set()), element.tag
        tags = [child.tag for child in element]
        assert tags == sorted(tags, key=CHILDREN.get(element.tag, []).index)
        for name in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
            assert re.fullmatch(r"\d+", element.get(name))
        if "time" in element.attrib:
            digits = 3 if element.tag != "testcase" else 4
            assert re.fullmatch(rf"\d+(\.\d{{1,{digits}}})?", element.get("time"))


def test_counts_are_those_of_the_tests(path):
    root = ElementTree.parse(path).getroot()
    for element in [root, *root]:
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == len(list(element.iter("failure")))
        assert int(element.get("errors")) == len(list(element.iter("error")))
        if element is not root:
            assert int(element.get("skipped")) == len(list(element.iter("skipped")))


def test_names_of_tests_are_unique(path):
    tests = [(t.get("classname"), t.get("name")) for t in ElementTree.parse(path).getroot().iter("testcase")]
    assert len(tests) == len(set(tests))


def test_no_character_is_illegal_in_xml(path):
    text = path.read_text()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text)
    assert "<script>" not in text


def test_a_suite_for_every_case_and_a_test_for_every_group(suites):
    assert [test.name for test in suites["sha_rnn_jl/L4_h1_tied_b2"]][:4] == ["param", "eval/1", "grad/1", "eval/2"]
    assert len(suites) == len(samples.rich().cases)
    properties = {p.name: p.value for p in suites["sha_rnn_jl/L4_longseg"].properties()}
    assert properties["subject"] == "julia, boom flipped"
    assert properties["implementation"] == "example/model.jl@ebd62af"


def test_agreement_has_no_failures(tmp_path):
    write_junit(samples.agreeing(), tmp_path / "junit.xml")
    document = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (document.failures, document.errors, document.tests) == (0, 0, 33)


def test_a_failure_says_what_is_wrong_first_and_why(suites):
    failures = failing(suites["sha_rnn_jl/L4_longseg"])
    assert set(failures) == {f"{group}/{n}" for group in ("eval", "grad") for n in range(2, 7)}
    first = failures["eval/2"]
    assert first.type == "wrong"
    assert first.message == (
        "eval/2/blocks.1.boom (segment 2) is wrong: the reference sums each chunk, the subject adds the chunks element "
        "by element; recomputing it this way reduces the error from 3.35e+06 to 0.41 units of rounding"
    )
    assert failures["eval/3"].message.startswith("eval/3/blocks.1.boom: ")
    assert "eval/2/logits (inherited): " in first.text


def test_a_group_that_only_inherits_is_no_failure_and_says_from_what(suites):
    results = failing(suites["sha_rnn_jl/L4_longseg"])
    inherited = results["grad/2"]
    assert (inherited._tag, inherited.type) == ("skipped", "inherited")
    assert "tensors inherit an error from eval/2/blocks.1.boom" in inherited.message
    red = {name for name, result in results.items() if result._tag == "failure"}
    assert red == {f"eval/{n}" for n in range(2, 7)}


def test_where_nothing_is_wrong_by_itself_the_first_that_is_off_fails(suites):
    results = failing(suites["accumulated"])
    assert [(name, result._tag) for name, result in results.items()] == [("eval/5", "failure"), ("eval/6", "skipped")]
    assert "no layer is wrong in isolation" in results["eval/5"].message


def test_of_two_recordings_nothing_is_claimed_that_was_not_run(tmp_path):
    case = samples.case("A and B", samples.laid_side_by_side())
    write_junit(samples.SuiteResult([case], {}, 1.0), tmp_path / "junit.xml")
    (failure,) = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("failure")
    assert failure.get("message").startswith("eval/1/norm (segment 1) is the first that differs: ")
    for claim in ("isolat", "inherit", "wrong", "truth"):
        assert claim not in ElementTree.tostring(failure, "unicode")


def test_what_could_not_be_run_is_an_error_and_nothing_compared_a_failure(suites):
    error = failing(suites["broken"])["recording"]
    assert (error._tag, error.message) == ("error", "broken.safetensors: the header is cut short")
    failure = failing(suites["empty"])["recording"]
    assert (failure._tag, failure.message) == ("failure", "nothing could be compared")


def test_a_long_failure_lists_the_beginning(suites):
    lines = failing(suites["deep/hundreds"])["eval/2"].text.splitlines()
    assert lines[-1] == "and 300 more"
    assert len(lines) == 101


def test_the_time_of_a_case_is_shared_out(suites):
    suite = suites["sha_rnn_jl/L4_h1_tied_b2"]
    assert suite.time == pytest.approx(0.42, abs=1e-2)
    assert sum(test.time for test in suite) == pytest.approx(0.42, abs=1e-2)
