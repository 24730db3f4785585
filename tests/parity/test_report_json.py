"""The JSON report and its published schema."""

import json

import pytest
from jsonschema import Draft202012Validator, ValidationError

from parity.report.json_file import FORMAT, SCHEMA, to_json, write_json
from tests.parity import report_samples as samples


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def rich():
    return to_json(samples.rich())


def strict(text):
    """Parse JSON strictly: Python's own parser takes NaN and Infinity too."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@pytest.mark.slow
@pytest.mark.parametrize("result", [samples.rich(), samples.agreeing(), samples.SuiteResult([], {}, 0.0)])
def test_the_schema_holds(validator, result, tmp_path):
    write_json(result, tmp_path / "report.json")
    content = strict((tmp_path / "report.json").read_text())
    validator.validate(content)
    assert content == to_json(result)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.update(format="sharnn parity 1"),
        lambda content: content.pop("environment"),
        lambda content: content["cases"][0].update(verdict="fine"),
        lambda content: content["cases"][1]["comparisons"][0].update(more=1),
        lambda content: content["cases"][1]["comparisons"][0]["arrived"].update(error="inf"),
        lambda content: content["cases"][1]["comparisons"][0]["arrived"].update(error=None),
    ],
)
def test_the_schema_forbids_what_it_does_not_describe(validator, damage):
    content = to_json(samples.rich())
    for case in content["cases"]:  # few of each, since the schema's reader is slow
        case["comparisons"] = case["comparisons"][:3]
    validator.validate(content)
    damage(content)
    with pytest.raises(ValidationError):
        validator.validate(content)


def test_the_schema_names_the_format(validator):
    assert validator.schema["properties"]["format"]["const"] == FORMAT == "sharnn parity 2"


def test_nothing_is_left_out(rich):
    result = samples.rich()
    for written, case in zip(rich["cases"], result.cases, strict=True):
        assert [c["name"] for c in written["comparisons"]] == [c.name for c in case.comparisons]
        assert written["left_out"] == case.skipped
        assert written["provenance"] == case.provenance
    wrong = next(c for c in rich["cases"][1]["comparisons"] if c["verdict"] == "wrong")
    measured = next(c for c in result.cases[1].comparisons if c.verdict == "wrong")
    assert rich["cases"][1]["first"] == wrong["name"] == measured.name
    assert wrong["local"]["error"] == measured.isolated.error
    assert wrong["local"]["units"] == pytest.approx(measured.isolated.units)
    assert wrong["local"]["worst"] == {
        "index": [2, 1, 3],
        "recorded": measured.isolated.worst.recorded,
    } | dict.fromkeys(("subject", "truth"), 0.5)
    assert wrong["local"]["first_bad_step"] == 5
    assert wrong["local"]["steps"] == pytest.approx(measured.isolated.steps, rel=1e-3)
    assert wrong["hints"][0]["says"] == measured.hints[0].description


def test_numbers_that_json_does_not_have_are_words(rich):
    case = next(case for case in rich["cases"] if case["name"] == "strange/infinities")
    by_name = {c["name"]: c for c in case["comparisons"]}
    assert by_name["eval/1/mask"]["local"]["worst"]["recorded"] == "-Infinity"
    assert by_name["eval/1/mask"]["local"]["units"] == "Infinity"
    assert by_name["eval/1/logits"]["arrived"]["worst"]["recorded"] == "NaN"
    assert by_name["eval/1/scores"]["arrived"]["steps"] == [0.0, "Infinity"]


def test_a_comparison_is_a_line(tmp_path):
    result = samples.rich()
    write_json(result, tmp_path / "report.json")
    lines = (tmp_path / "report.json").read_text().splitlines()
    assert sum(line.startswith('{"name":') for line in lines) == result.comparisons + len(result.cases)


def test_an_odd_name_is_written_as_it_is(rich, tmp_path):
    write_json(samples.rich(), tmp_path / "report.json")
    assert any(case["subject"] == samples.NASTY for case in strict((tmp_path / "report.json").read_text())["cases"])
