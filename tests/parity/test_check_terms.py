"""What a check is told besides the recording: names, layouts, tolerances, what to skip and what differs as expected."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import parity
from parity import UsageError
from parity.arrangement import rearranged
from parity.judge.case import with_arrangement


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv1d(4, 6, 3), nn.LayerNorm(5), nn.Linear(5, 2)

    def forward(self, x):  # (B, 4, T)
        return self.head(self.norm(torch.tanh(self.conv(x))))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def reference(net):
    return parity.capture(net, torch.randn(3, 4, 7))


def other_eps(net, eps=1e-2):
    changed = copy.deepcopy(net)
    changed.norm.eps = eps
    return changed


def renamed(reference, names):
    """The recording of another program, in its own names: all but the last tensor of each map only moved."""
    return parity.recording_of({names.get(name, name): tensor for name, tensor in reference.tensors.items()})


def test_a_recording_with_other_axes_agrees_in_the_layout_that_is_given(net, reference):
    tensors = dict(reference.tensors)
    for name in ("input/1/0", "eval/1/conv", "eval/1/norm.in", "eval/1/norm"):
        tensors[name] = tensors[name].permute(0, 2, 1)
    tensors["param/conv.weight"] = tensors["param/conv.weight"].permute(2, 1, 0)
    recording = parity.recording_of(tensors)
    layout = {"input.0": (0, 2, 1), "conv": (0, 2, 1), "norm*": (0, 2, 1), "conv.weight": (2, 1, 0), "head*": (1, 0)}
    with pytest.raises(UsageError, match=r"the layout of norm.weight is \(0, 2, 1\), but its shape is \(5,\)"):
        parity.check(net, recording, layout=layout)
    layout = {"input.0": (0, 2, 1), "conv": (0, 2, 1), "norm": (0, 2, 1), "norm.in": (0, 2, 1), "*.weight": (2, 1, 0)}
    layout = {**{"head.weight": (0, 1), "norm.weight": (0,)}, **layout}
    result = parity.check(net, recording, layout=layout)
    assert result, parity.text(result)
    assert result.compared == len(tensors) - 1
    wrong = parity.check(other_eps(net), recording, layout=layout).first
    assert wrong.name == "eval/1/norm"
    assert "eps" in wrong.hints[0].description
    with pytest.raises(UsageError, match="layout: nothing in the module is named by 'cnv'"):
        parity.check(net, reference, layout={"cnv": (0, 2, 1)})


def test_another_shape_that_fits_after_a_permutation_says_so(net, reference):
    tensors = {name: t for name, t in reference.tensors.items() if not name.startswith("param/")}
    tensors["eval/1/norm"] = tensors["eval/1/norm"].permute(2, 0, 1)
    tensors["eval/1/output"] = tensors["eval/1/output"][:, None]
    found = {c.name: c for c in parity.check(net, parity.recording_of(tensors)).comparisons}
    problem = found["eval/1/norm"].end_to_end.problem
    assert problem == "recorded with shape (5, 3, 6), the port has (3, 6, 5); equal after permuting axes (1, 2, 0)"
    assert found["eval/1/output"].end_to_end.problem.endswith("equal after dropping axes (1,) of size one")


def test_a_square_tensor_that_fits_after_a_permutation_says_so(net, reference):
    module = nn.Sequential(nn.Linear(4, 4))
    tensors = dict(parity.capture(module, torch.randn(4, 4)).tensors)
    tensors["param/0.weight"] = tensors["param/0.weight"].T
    tensors["eval/1/0"] = tensors["eval/1/0"].T
    wrong = {c.name: c for c in parity.check(module, parity.recording_of(tensors)).comparisons}
    for name in ("param/0.weight", "eval/1/0"):
        assert wrong[name].own.fits == "equal after permuting axes (1, 0)"
    assert "transposed" in wrong["param/0.weight"].hints[0].description  # diagnosis says so already
    unexplained = with_arrangement(replace(wrong["param/0.weight"], hints=()))
    assert "equal after permuting axes (1, 0)" in unexplained.hints[0].description


def test_the_ways_in_which_numbers_can_stand():
    x = torch.randn(2, 1, 3, 4)
    assert rearranged(x, x, 0.0) == ""
    assert rearranged(x, x + 1, 0.0) == ""
    assert rearranged(x, x.permute(3, 1, 0, 2), 0.0) == "equal after permuting axes (3, 1, 0, 2)"
    assert rearranged(x, x[:, 0], 0.0) == "equal after dropping axes (1,) of size one"
    assert rearranged(x[:, 0], x.movedim(2, 0), 0.0).startswith("equal after permuting axes (1, 0, 2) and adding axes")
    assert rearranged(torch.zeros(0, 2), torch.zeros(2, 0), 0.0) == ""


THEIRS = {
    "param/norm.weight": "param/layer0.scale",
    "param/norm.bias": "param/layer0.shift",
    "eval/1/conv": "eval/1/layer0.filtered",
    "eval/1/norm": "eval/1/layer0.normed",
    "eval/1/head": "eval/1/scores",
}
NAMES = {
    "norm.weight": "layer0.scale", "norm.bias": "layer0.shift", "conv": "layer0.filtered", "norm": "layer0.normed",
    "head": "scores",
}  # fmt: skip


@pytest.fixture
def trained(net):
    """With a normalisation whose parameters are not all one and zero, so that they can be told by their values."""
    changed = copy.deepcopy(net)
    with torch.no_grad():
        changed.norm.weight.copy_(torch.linspace(0.5, 2, 5))
        changed.norm.bias.copy_(torch.linspace(-1, 1, 5))
    return changed


def test_names_that_differ_are_proposed_as_a_mapping_to_paste(trained):
    tensors = {THEIRS.get(n, n): t for n, t in parity.capture(trained, torch.randn(3, 4, 7)).tensors.items()}
    del tensors["eval/1/output"]
    recording = parity.recording_of(tensors)
    result = parity.check(trained, recording)
    notes = "\n".join(result.notes)
    assert "in the recording alone: layer0.scale, layer0.shift, layer0.filtered, layer0.normed, scores" in notes
    assert "the module's norm looks like the recording's layer0.normed: equal values" in notes
    assert notes in parity.text(result).replace("\n  ", "\n") or "looks like" in parity.text(result)
    pasted = next(eval(line.removeprefix("names=")) for line in result.notes if line.startswith("names="))
    assert pasted == NAMES
    again = parity.check(trained, recording, names=pasted)
    assert again
    assert again.compared == len(tensors) - 1
    assert not any("recording alone" in note for note in again.notes)


def test_what_follows_an_error_is_still_recognised(trained):
    """And what is wrong itself, by its shape and place."""
    reference = parity.capture(trained, torch.randn(3, 4, 7))
    recording = parity.recording_of({THEIRS.get(n, n): t for n, t in reference.tensors.items() if n != "eval/1/output"})
    result = parity.check(other_eps(trained), recording)
    notes = "\n".join(result.notes)
    assert "the module's conv looks like the recording's layer0.filtered: equal values" in notes
    assert "the module's norm looks like the recording's layer0.normed: other values, of the same shape" in notes


def test_a_name_that_nothing_has_is_an_error(net, reference):
    with pytest.raises(UsageError, match=r"names: nothing in the module is named 'nrom'; there are norm"):
        parity.check(net, reference, names={"nrom": "norm"})


def test_many_names_are_counted_after_the_first(net, reference):
    tensors = {**reference.tensors, **{f"eval/1/extra.{i}": torch.randn(9) for i in range(8)}}
    result = parity.check(net, parity.recording_of(tensors))
    assert result.notes == ["in the recording alone: extra.0, extra.1, extra.2, extra.3, extra.4 and 3 more"]


def test_a_tolerance_of_the_callers_own_is_kept_and_shown(net, reference):
    changed = other_eps(net, 1.5e-5)
    assert not parity.check(changed, reference)
    result = parity.check(changed, reference, tolerances={"norm": 1e-2, "head": 1e-2, "eval/*/output": 1e-2})
    assert result, parity.text(result)
    assert next(c for c in result.comparisons if c.name == "eval/1/norm").own.tolerance == 1e-2
    assert "tolerance 0.01, as asked: eval/1/norm" in result.notes
    assert "tolerance 0.01, as asked: eval/1/norm" in parity.text(result)
    assert not parity.check(changed, reference, tolerances={"norm": 1e-9, "head": 1e-2, "eval/*/output": 1e-2})


def test_what_is_skipped_is_shown_with_its_reason(net, reference):
    result = parity.check(other_eps(net), reference, skip={"norm": "not ported yet", "eval/1/[ho]*": "depends on it"})
    assert result
    assert result.skipped["eval/1/norm"] == "as asked (not ported yet)"
    assert {"eval/1/head", "eval/1/output"} <= result.skipped.keys()
    assert "not ported yet" in parity.text(result)


def test_an_expected_difference_is_shown_and_what_inherits_it_is_let_pass(net, reference):
    result = parity.check(other_eps(net), reference, expected={"norm": "another eps"})
    assert result, parity.text(result)
    assert result.skipped["eval/1/norm"] == "differs as expected (another eps)"
    assert result.skipped["eval/1/head"] == "inherits what was expected to differ"
    assert "another eps" in parity.text(result)


def test_an_expected_difference_that_is_none_is_reported(net, reference):
    result = parity.check(net, reference, expected={"norm": "another eps"})
    assert not result
    assert result.first.name == "eval/1/norm"
    assert result.first.end_to_end.problem == "it was expected to differ (another eps), and agrees"


def test_another_error_is_not_hidden_by_an_expected_one(net, reference):
    changed = other_eps(net)
    with torch.no_grad():
        changed.head.bias.add_(1)
    result = parity.check(changed, reference, expected={"norm": "another eps"})
    assert [c.name for c in result.wrong] == ["param/head.bias"]


@pytest.mark.parametrize("option", ["tolerances", "skip", "expected"])
def test_a_pattern_that_nothing_matches_is_an_error(net, reference, option):
    with pytest.raises(UsageError, match=f"{option}: 'nrom' matches no tensor"):
        parity.check(net, reference, **{option: {"nrom": 1.0 if option == "tolerances" else "why"}})
