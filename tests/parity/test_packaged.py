"""The packaged recordings: all agree, all is counted, and they are as small as promised."""

import re

import pytest

from parity import PACKAGED, discover, run
from parity.sharnn.header import made_by, program_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result():
    return run(processes=2)


def test_every_recording_agrees(result):
    assert {case.name: case.verdict for case in result.cases if not case} == {}
    assert len(result.cases) == 34
    assert result.exit_code == 0


def test_every_tensor_is_compared_or_skipped_for_a_reason(result):
    for case in result.cases:
        assert case.recorded == case.compared + len(case.skipped)
        assert case.compared > 0.7 * case.recorded
    assert set(result.skipped) == {
        "given to the port as its input",
        "built by Smerity's program but never used in what it computes",
        "the mask of a model without attention, which nothing uses",
    }


def test_every_group_of_the_format_is_compared(result):
    julia = next(case for case in result.cases if case.name == "sha_rnn_jl/L4_h1_untied_b3")
    groups = {re.sub(r"\d+", "n", c.name.rsplit("/", 1)[0]) for c in julia.comparisons}
    assert groups == {
        "carry/n", "const", "eval/n", "grad/n", "gradissparse/n", "gradnorm/n", "param", "train",
        "train/n", "train/n/fstm", "train/n/grad", "train/n/param", "train/n/scndm",
        "evaluate/n", "loop/n", "loop/param",
    }  # fmt: skip
    loops = ("loop", "evaluate")  # which run from beginning to end
    assert all((c.isolated is None) == (c.tensor_name.group in loops) for c in julia.comparisons)
    lamb = next(case for case in result.cases if case.name.endswith("_lamb"))
    assert {c.name for c in lamb.comparisons} >= {f"train/{k}/grad_norm_before_clip" for k in range(1, 6)}


def test_most_of_the_tolerance_is_unused(result):
    """The measured tail stands in docs/tolerance.md; a third of the tolerance covers it."""
    for side in ("end_to_end", "isolated"):
        measures = (getattr(c, side) for _, c in result.every() if not c.exact)
        ratios = sorted(measure.ratio for measure in measures if measure is not None)
        assert len(ratios) > 20_000
        assert ratios[-1] < 0.4
        assert ratios[len(ratios) // 2] < 0.1


def test_size():
    files = [path for path in PACKAGED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15e6


def test_every_recording_tells_how_it_was_made():
    for recording in discover(PACKAGED):
        assert program_of(recording) == ("julia" if recording.name.startswith("sha_rnn_jl/") else "paper")
        header = made_by(recording)
        assert "ebd62af" in header.get("implementation", "") or "218d748" in header["source"]
