"""Faults that no catalogue lists: what is said of them is true, and does not stop at what one place cannot tell."""

import pytest

from parity.sharnn.faults.plant import Edit, planted
from parity.sharnn.suite import run_case
from tests.parity.cut_short import first_seen_at

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run", "one_layer_explained")]

JULIA, SMERITY = "sha_rnn_jl/L4_h2_tied_b3", "smerity/L4_h2_tied_b3"
NORM, ATTENTION = "sharnn_py.layers:LayerNorm.forward", "sharnn_py.layers:Attention.forward"
BLOCK, LOSS = "sharnn_py.model:Block.forward", "sharnn_py.model:nll"
MEMORY = 'note("memory", keys[-self.max_memory :])'
DISTANCES = "(torch.arange(mask.shape[0])[:, None] + mask.shape[1] - mask.shape[0] - torch.arange(mask.shape[1]))"


def hint_of(recording, first, edit, after=2):
    """What is said of the first wrong tensor, which has to be `first`; empty if nothing is."""
    with planted(edit):
        case = run_case(first_seen_at(recording, first, after))
    assert case.first is not None
    assert case.first.name == first
    return "; ".join(hint.description for hint in case.first.hints)


SEGMENTS = {
    "the mean of another axis": (
        JULIA, "blocks.1.lnstart", Edit(NORM, "x.mean(-1, keepdim=True)", "x.mean(-2, keepdim=True)"),
        "takes the mean over axis 1",
    ),
    "a median": (
        JULIA, "blocks.1.lnstart", Edit(NORM, "x.mean(-1, keepdim=True)", "x.median(-1, keepdim=True).values"),
        "subtracts the median",
    ),
    "a root that is another size here": (  # of 7 steps, 7 + 1 is the width
        JULIA, "blocks.3.attn.scores", Edit(ATTENTION, "math.sqrt(scale)", "math.sqrt(scale + 1)"),
        r"divides by sqrt(T+1)",
    ),
    "soft-capped scores": (
        SMERITY, "blocks.2.attn.focus",
        Edit(ATTENTION, "qk / math.sqrt(scale)", "0.7 * torch.tanh(qk / math.sqrt(scale) / 0.7)"),
        "soft-capped at 0.7",
    ),
    "clamped scores": (
        JULIA, "blocks.3.attn.scores",
        Edit(ATTENTION, "qk / math.sqrt(scale)", "(qk / math.sqrt(scale)).clamp(-0.5, 0.5)"),
        "limited to at most 0.5 and at least -0.5",
    ),
    "ALiBi": (
        SMERITY, "blocks.2.attn.focus",
        Edit(ATTENTION, "scores + mask)", f"scores + mask - 0.1 * {DISTANCES}.to(mask))"),
        "adds -0.1 for every step that a key is before its query",
    ),
    "a bias for each distance": (
        JULIA, "blocks.3.attn.masked_scores",
        Edit(ATTENTION, "scores + mask)", f"scores + mask - {DISTANCES}.to(mask).abs().sqrt())"),
        "a number of its own for each distance of query and key",
    ),
    "every second key": (
        JULIA, "blocks.3.attn.masked_scores",
        Edit(ATTENTION, "scores + mask)", f"(scores + mask).masked_fill({DISTANCES} % 2 == 1, float('-inf')))"),
        "hides more scores: every second",
    ),
    "keys shared by the heads": (
        JULIA, "blocks.3.attn.qk", Edit(ATTENTION, "q @ k.transpose(-1, -2)", "q @ k[:, :1].transpose(-1, -2)"),
        "takes the first head in the place of every head for keys alone",
    ),
    "a memory of means": (
        JULIA, "blocks.3.new_mem",
        Edit(BLOCK, MEMORY, MEMORY.replace(":])", ":].mean(0, keepdim=True).expand_as(keys[-self.max_memory :]))")),
        "the mean over the time axis in every row",
    ),
    "smoothing": (
        JULIA, "loss", Edit(LOSS, "ignore_index=-1)", "ignore_index=-1, label_smoothing=0.05)"),
        "smooths the labels by 0.05",
    ),
    "a focal loss": (
        SMERITY, "loss",
        Edit(
            LOSS, "return F.cross_entropy(logits.flatten(0, 1), targets.flatten().long(), ignore_index=-1)",
            "x = F.cross_entropy(logits.flatten(0, 1), targets.flatten().long(), reduction='none'); "
            "return ((1 - (-x).exp()) ** 2 * x).mean()",
        ),
        "weighs each target by (1 - p)^2",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("recording", "first", "edit", "words"), SEGMENTS.values(), ids=SEGMENTS)
def test_a_fault_of_a_segment_is_explained(recording, first, edit, words):
    assert words in hint_of(recording, f"eval/1/{first}", edit)


def test_a_scale_that_is_another_at_each_place_is_said_so():
    edit = Edit(ATTENTION, "qk / math.sqrt(scale)", "qk / math.sqrt(scale) * (1 + 0.01 * keys.shape[0])")
    said = hint_of(JULIA, "eval/1/blocks.3.attn.scores", edit)
    assert "scaled by another number from place to place, 1.07 here and 1.21 and 1.12 there" in said


def test_a_number_of_one_loss_alone_is_not_said():
    """A weight that is another in each segment."""
    edit = Edit(LOSS, "ignore_index=-1)", "ignore_index=-1) + 0.01 * logits[0, 0, 0].abs()")
    assert hint_of(JULIA, "eval/1/loss", edit) == ""


UPDATE = "sharnn_py.lamb:MinTrustLAMB._update"
CHANGES = {
    "a floor of 0.5": (  # at most parameters, twice the rate is the same
        'min=group["min_trust"]',
        "min=0.5",
        "takes a floor under the trust ratio of 0.5",
        "encoder",
    ),
    "another norm": (  # in every parameter that it changes, the ratio falls to its floor
        "step_norm = joint_norm(steps)",
        "step_norm = sum(s.abs().sum() for s in steps)",
        "norm",
        "lnstart",
    ),
    "one step ahead": (  # 1.9 times the rate in the first update
        'step = m / (v.sqrt() + group["eps"])',
        'step = (beta1 * m + (1 - beta1) * g) / (v.sqrt() + group["eps"])',
        "looks one step ahead",
        "encoder",
    ),
    "the larger of v and g^2": (  # a correction of the bias in the first update
        "m / (v.sqrt()",
        "m / (torch.maximum(v, g * g).sqrt()",
        "the larger of v and the gradient's square",
        "encoder",
    ),
}
FIRST = {
    ("sha_rnn_jl/L2_cosine_lr05", "encoder"): "encoder.w",
    ("sha_rnn_jl/L2_cosine_lr05", "lnstart"): "blocks.1.lnstart.gamma",
    ("smerity/L4_h1_tied_b2_lamb", "encoder"): "encoder.weight",
    ("smerity/L4_h1_tied_b2_lamb", "lnstart"): "blocks.0.lnstart.weight",
}


@pytest.mark.parametrize("recording", ["sha_rnn_jl/L2_cosine_lr05", "smerity/L4_h1_tied_b2_lamb"])
@pytest.mark.parametrize(("old", "new", "words", "first"), CHANGES.values(), ids=CHANGES)
def test_a_fault_of_an_update_is_told_from_what_one_parameter_cannot_tell(recording, old, new, words, first):
    said = hint_of(recording, f"train/1/param/{FIRST[recording, first]}", Edit(UPDATE, old, new))
    assert words in said
    assert "rate" not in said
    assert "limit of the weight's norm" not in said


def test_a_trust_ratio_of_no_known_rule_is_no_other_rate():
    edit = Edit(UPDATE, "weight_norm / step_norm", "weight_norm / (step_norm + step_norm.sin().square())")
    said = hint_of("sha_rnn_jl/L2_cosine_lr05", "train/1/param/blocks.1.lnstart.gamma", edit)
    assert "learning rate" not in said


@pytest.mark.parametrize(("recording", "first", "last"), [(JULIA, 1, 4), (SMERITY, 0, 3)])
def test_blocks_in_reverse_compute_what_was_not_recorded_and_the_first_of_them_is_named(recording, first, last):
    """The block that attends comes elsewhere, with tensors that the recording has not: that is no broken recording."""
    edit = Edit("sharnn_py.model:SHARNN.forward", "enumerate(self.blocks)", "enumerate(reversed(self.blocks))")
    said = hint_of(recording, f"eval/1/blocks.{first}.lnstart", edit, after=0)
    assert f"takes param/blocks.{last}.lnstart.weight" in said
    with planted(edit):
        case = run_case(first_seen_at(recording, "eval/1/blocks.0.lnstart", 0))
    assert not case.problem
    assert any("there is no eval/1/" in c.end_to_end.problem for c in case.wrong)
