"""The JUnit report, as junitparser reads it and as the usual schemas of CI servers want it."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from junitparser import JUnitXml

from parity.report.junit_file import write_junit
from tests.parity import report_samples as samples

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["failure", "error"],
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
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ATTRIBUTES.get(element.tag, set()), element.tag
        tags = [child.tag for child in element]
        assert tags == sorted(tags, key=CHILDREN.get(element.tag, []).index)
        for name in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
            assert re.fullmatch(r"\d+", element.get(name))
        if "time" in element.attrib:
            assert re.fullmatch(r"\d+(\.\d+)?", element.get("time"))


def test_counts_are_those_of_the_tests(path):
    root = ElementTree.parse(path).getroot()
    for element in [root, *root]:
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == len(list(element.iter("failure")))
        assert int(element.get("errors")) == len(list(element.iter("error")))


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
    assert first.message.startswith("eval/2/blocks.1.boom: 0.00448 from the truth")
    assert "the reference sums each chunk" in first.message
    assert "eval/2/logits (inherited): " in first.text


def test_a_group_that_only_inherits_says_from_what(suites):
    inherited = failing(suites["sha_rnn_jl/L4_longseg"])["grad/2"]
    assert inherited.type == "inherited"
    assert "inherit an error from eval/2/blocks.1.boom" in inherited.message


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
