"""Any two recordings against each other: of the two programs, of a module, of nothing in common."""

import pytest
import torch

import parity
from parity import RecordingError, UsageError
from parity.judge.difference import FORWARD_UNITS
from parity.recording.library import find
from parity.sharnn.pairs import compare_recordings
from parity.sharnn.translate import translated
from parity.tolerance import UNIT
from tests.forked import sharnn
from tests.parity.cut_short import as_far_as

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run")]

JULIA, PAPER = "sha_rnn_jl/L4_longseg", "smerity/jl_L4_longseg"


@pytest.fixture(scope="module")
def both_programs():
    return compare_recordings(as_far_as(JULIA, 2), as_far_as(PAPER, 2))


def test_both_programs_on_the_same_weights_differ_where_the_rows_say(both_programs):
    *own, between = both_programs
    assert [bool(case) for case in own] == [True, True]
    assert not between
    assert between.first.name == "eval/1/blocks.0.lnstart"
    assert "n - 1" in between.first.hints[0].description
    agreeing = {c.name for c in between.comparisons if c.agrees}
    assert {"param/encoder.weight", "eval/1/x", "eval/1/embed", "eval/2/embed"} <= agreeing
    inside = {layer.split(".", 2)[2] for layer in (c.layer for c in between.wrong) if layer.startswith("blocks.")}
    assert inside >= {"lnstart", "lnff", "lnxff", "lnmem", "lnmid", "boom", "attn.q_ln", "attn.focus"}
    assert inside <= {"lnstart", "lnff", "lnxff", "lnmem", "lnmid", "boom", "attn.q_ln", "attn.focus", "attn.mix"}
    inherited = {c.layer for c in between.inherited}
    assert {"logits", "loss", "blocks.0.rnn", "blocks.3.boom_linear"} <= inherited


def test_a_recording_against_itself_agrees_in_every_tensor():
    for name in ("sha_rnn_jl/L1_h1_tied_b2", "smerity/L2_h1_untied_b2"):
        *_, same = compare_recordings(as_far_as(name, 2), as_far_as(name, 2))
        assert same
        assert same.compared > 70
        assert max(c.end_to_end.error for c in same.comparisons) == 0


def test_other_weights_are_the_first_difference_and_all_else_inherits():
    *_, case = compare_recordings(find("sha_rnn_jl/L1_h1_tied_b2"), find("smerity/L1_h1_tied_b2"))
    assert case.first.exact
    assert case.first.name == "param/encoder.weight"


def test_translated_names_every_tensor_as_the_port_does():
    ours, names = translated(find(JULIA))
    assert names["eval/2/blocks.2.attn.qk"] == "eval/2/blocks.3.attn.qk"
    assert names["grad/1/blocks.0.rnn.bias_hh_l0"] == "grad/1/blocks.1.rnn.w"
    assert ours.tensor("eval/2/blocks.2.attn.qk").shape[-2:] == (14, 18)  # queries, keys
    assert int(ours.tensor("eval/1/x").min()) == int(find(JULIA).tensor("eval/1/x").min()) - 1
    theirs, _ = translated(find(PAPER))
    assert torch.equal(ours.tensor("param/blocks.2.attn.q.weight"), theirs.tensor("param/blocks.2.attn.q.weight"))


def tensors(**changed):
    generator = torch.Generator().manual_seed(0)
    made = {f"eval/1/{name}": torch.randn(50, generator=generator) for name in ("a", "b", "c")}
    return parity.recording_of(
        {**made, "input/1/0": torch.ones(2), **{f"eval/1/{n}": made[f"eval/1/{n}"] + d for n, d in changed.items()}}
    )


def test_where_nothing_is_known_the_first_difference_is_wrong_and_the_rest_inherits():
    case = parity.diff(tensors(), tensors(b=1e-3, c=1e-3))
    assert [(c.name, c.verdict) for c in case.comparisons if c.name != "input/1/0"] == [
        ("eval/1/a", "agrees"), ("eval/1/b", "wrong"), ("eval/1/c", "inherited"),
    ]  # fmt: skip
    scale = float(tensors().tensor("eval/1/b").abs().max())
    assert case.first.end_to_end.tolerance == pytest.approx(FORWARD_UNITS * UNIT[torch.float32] * scale, rel=0.1)
    assert parity.diff(tensors(), tensors(b=1e-6))


def test_half_precision_is_judged_by_its_own_rounding():
    half = parity.recording_of({name: t.half() for name, t in tensors().tensors.items()})
    assert parity.diff(tensors(), half)
    assert not parity.diff(tensors(), parity.recording_of({n: (t + 0.5).half() for n, t in tensors().tensors.items()}))


def test_a_tensor_that_only_one_has_is_skipped_and_said():
    case = parity.diff(tensors(), parity.recording_of({"eval/1/a": tensors().tensor("eval/1/a")}))
    assert case.compared == 1
    assert set(case.skipped) == {"eval/1/b", "eval/1/c", "input/1/0"}


def test_nothing_in_common_is_an_error_and_not_agreement():
    with pytest.raises(RecordingError, match=r"no tensor of the same name; .* has eval/1/a"):
        parity.diff(tensors(), parity.recording_of({"z": [1.0]}))


def test_a_name_of_no_recording():
    with pytest.raises(UsageError, match="neither a recording's file"):
        find("nonesuch")
    with pytest.raises(UsageError, match="sha_rnn_jl/L4_h1_tied_b2, smerity/L4_h1_tied_b2"):
        find("L4_h1_tied_b2")
    with pytest.raises(UsageError, match="there is no file"):
        find("nonesuch.safetensors")


def test_from_the_command_line(tmp_path):
    a, b = (
        parity.save(tensors(**change), tmp_path / f"{name}.safetensors").path
        for name, change in (("a", {}), ("b", {"b": 0.1}))
    )
    assert sharnn("parity", "diff", a, a).returncode == 0
    done = sharnn("parity", "diff", a, b, "--report", tmp_path / "report", "--json", tmp_path / "d.json")
    assert done.returncode == 1
    assert "first: eval/1/b" in done.stdout
    assert (tmp_path / "report" / "report.html").exists()
    bad = sharnn("parity", "diff", a, "nonesuch")
    assert bad.returncode == 2
    assert "Traceback" not in bad.stderr
    (tmp_path / "cut.safetensors").write_bytes(a.read_bytes()[:200])
    cut = sharnn("parity", "diff", a, tmp_path / "cut.safetensors")
    assert cut.returncode == 3
    assert "cut short" in cut.stderr
