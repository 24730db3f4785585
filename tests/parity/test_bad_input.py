"""A recording that is not what it should be gets one sentence and exit code 3, and never passes."""

import pytest
import torch

from parity import CaseResult, RecordingError, SuiteResult, UsageError, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run")]


def problem_of(recording):
    result = run(references=recording.write())
    assert result.exit_code == 3
    assert not result
    return result.cases[0].problem


def test_the_recording_as_it_is_agrees(julia, smerity):
    assert run(references=julia.write()).exit_code == 0
    assert run(references=smerity.write()).exit_code == 0


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_truncated(julia, keep):
    julia.write()
    julia.path.write_bytes(julia.path.read_bytes()[:keep])
    result = run(references=julia.folder)
    assert result.exit_code == 3
    assert "is not a safetensors file, or is cut short" in result.cases[0].problem


def test_not_safetensors_at_all(julia):
    (julia.folder / "case.safetensors").write_text("hello " * 50)
    assert "is not a safetensors file" in run(references=julia.folder).cases[0].problem
    (julia.folder / "case.safetensors").rename(julia.folder / "case.safetensors.xz")
    assert "cannot be read" in run(references=julia.folder).cases[0].problem


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("param/blocks.1.rnn.w", "blocks.1.rnn.w is missing, expected with shape (576, 1, 1)"),
        ("eval/2/blocks.1.boom", "tensor eval/2/blocks.1.boom is missing"),
        ("eval/3/x", "tensor eval/3/x is missing"),
        ("grad/4/encoder.w", "tensor grad/4/encoder.w is missing"),
        ("grad/1/blocks.1.lnff.beta", "tensor grad/1/blocks.1.lnff.beta is missing"),
        ("train/2/fstm/encoder.w", "encoder.w is missing"),
    ],
)
def test_a_missing_tensor_is_named(julia, name, words):
    del julia.tensors[name]
    assert words in problem_of(julia)


def test_a_wrong_or_surplus_parameter_is_named(julia):
    julia.tensors["param/encoder.w"] = torch.zeros(11, 9)
    julia.tensors["param/colour"] = torch.zeros(2)
    problem = problem_of(julia)
    assert "encoder.w has shape (11, 9), expected (11, 8)" in problem
    assert "colour (2,) is not a tensor of this model" in problem


def test_an_unknown_tensor_is_counted_and_said(julia):
    julia.tensors["eval/1/colour"] = torch.zeros(2)
    case = run(references=julia.write()).cases[0]
    assert case.skipped["eval/1/colour"] == "not a name of the recording format"


@pytest.mark.parametrize("name", ["param/encoder.w", "eval/2/logits", "grad/1/encoder.w"])
def test_nan(julia, name):
    julia.tensors[name].flatten()[3] = torch.nan
    assert f"{name} holds a NaN" in problem_of(julia)


@pytest.mark.parametrize("value", [0, 12, -1])
def test_julia_ids_out_of_range(julia, value):
    julia.tensors["eval/2/x"][0, 0] = value
    assert "eval/2/x has ids outside the vocabulary of 11" in problem_of(julia)


def test_a_changed_batch_size(smerity):
    for name in "xy":
        smerity.tensors[f"eval/2/{name}"] = smerity.tensors[f"eval/2/{name}"][:, :1].contiguous()
    assert "eval/2/x has batch 1, but the header's config says 2" in problem_of(smerity)


def test_no_steps(smerity):
    smerity.tensors["eval/1/x"] = torch.zeros(0, 2, dtype=torch.int64)
    assert "expected ids (T, B)" in problem_of(smerity)


def test_a_segment_of_another_length(smerity):
    smerity.config["segs"][1] = 6
    assert "segment 2 has 5 steps, but the header's segs are" in problem_of(smerity)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(hidden=28), "hidden must be a multiple of emb"),
        (dict(hidden=4), "hidden must be at least emb"),
        (dict(hidden=128), "more than emb"),
        (dict(heads=3), "heads is 3; it must divide emb"),
        (dict(emb="8"), "emb is '8'"),
        (dict(nlayers=2), "is missing"),
    ],
)
def test_a_config_that_does_not_fit(julia, change, words):
    julia.config.update(change)
    assert words in problem_of(julia)


def test_a_config_entry_missing(julia):
    del julia.config["npos"]
    assert "no entry 'npos'" in problem_of(julia)
    julia.metadata["implementation"] = "someone's"
    assert "names neither" in problem_of(julia)


def test_infinity_is_not_a_number_to_agree_with(julia):
    julia.tensors["eval/2/logits"][0, 0, 0] = torch.inf
    result = run(references=julia.write())
    assert result.exit_code == 1
    assert result.cases[0].first.name == "eval/2/logits"
    assert "infinite or NaN on one side only" in result.cases[0].first.end_to_end.problem


def test_a_whole_segment_missing(julia):
    julia.tensors = {name: t for name, t in julia.tensors.items() if not name.startswith(("eval/5/", "grad/5/"))}
    assert "eval/ has 4 segments, but the header's segs are [7, 5, 9, 4, 3]" in problem_of(julia)


def test_a_gap_in_the_numbering(smerity):
    smerity.tensors = {name.replace("eval/3/", "eval/9/"): t for name, t in smerity.tensors.items()}
    assert "eval/ should be numbered 1, 2, ..." in problem_of(smerity)


def test_a_damaged_data_pipeline(tmp_path):
    (tmp_path / "data_pipeline.json").write_text('{"text": "1 2\\n"}')
    result = run(references=tmp_path)
    assert result.exit_code == 3
    assert "missing or malformed entry" in result.cases[0].problem


def test_nothing_recorded_is_an_error(tmp_path, julia):
    with pytest.raises(RecordingError, match="holds no recordings"):
        run(references=tmp_path)
    julia.tensors = {"note": torch.zeros(1)}
    assert problem_of(julia)


def test_a_case_in_which_nothing_was_compared_fails():
    nothing = CaseResult("case", "julia", "julia", recorded=3, comparisons=[], skipped={}, seconds=0.0)
    assert not nothing
    assert nothing.verdict == "diverges"
    assert SuiteResult([nothing], {}, 0.0).exit_code == 1
    assert not SuiteResult([], {}, 0.0)


@pytest.mark.parametrize("group", ["const", "grad", "gradnorm", "train"])
def test_a_group_may_be_absent_as_a_whole(julia, group):
    julia.tensors = {name: t for name, t in julia.tensors.items() if not name.startswith(f"{group}/")}
    result = run(references=julia.write())
    assert result.exit_code == 0
    assert result.compared + len(result.cases[0].skipped) == len(julia.tensors)


def test_unknown_cases_and_semantics_are_usage_errors(julia):
    julia.write()
    with pytest.raises(UsageError, match="there is no case 'nonesuch'; the cases are case"):
        run(references=julia.folder, cases=["nonesuch"])
    with pytest.raises(UsageError, match="no recording here is of the program with paper semantics"):
        run(references=julia.folder, semantics="paper")
    with pytest.raises(UsageError, match="semantics is 'knet'"):
        run(references=julia.folder, semantics="knet")
