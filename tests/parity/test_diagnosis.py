"""Every fault is explained, by a first hint that says what it is; what cannot be explained is not."""

import pytest
import torch

from parity.diagnosis import explain
from parity.diagnosis.interpreter import Interpreter
from parity.diagnosis.matching import distance
from parity.diagnosis.operations import OPERATIONS
from parity.sharnn.operations import parameters_of
from parity.subject.scene import Scene
from sharnn_py import layers
from tests.parity.diagnosed import SMERITY, scene_of
from tests.parity.explained_attention import ATTENTION, GAINS, MEMORY
from tests.parity.explained_layers import BOOM, EMBEDDING, ENDS, LSTM, NORM
from tests.parity.explained_state import FLIPS, IN_PART, STATE
from tests.parity.planting import attention, held, norm, rnn, source

FAULTS = [*EMBEDDING, *NORM, *LSTM, *GAINS, *ATTENTION, *MEMORY, *BOOM, *ENDS, *STATE, *IN_PART, *FLIPS]
CLEAN = [{}, {"semantics": "paper"}, SMERITY, {"segment": 1}, {"tied": True, "heads": 1}]


@pytest.mark.parametrize(("plant", "options", "expected"), FAULTS)
def test_the_first_hint_says_what_was_planted(monkeypatch, plant, options, expected):
    scene, wrong = scene_of(plant, patch=monkeypatch, **options)
    hints = explain(scene, wrong[0])
    assert hints, wrong
    assert expected in hints[0].description
    assert hints[0].before > 16 >= hints[0].after


def test_there_is_one_hint_and_it_tells_where(monkeypatch):
    """The fault is in a step that Smerity's recordings do not hold."""
    scene, wrong = scene_of(attention(("math.sqrt(scale)", "scale")), patch=monkeypatch, **SMERITY)
    assert wrong[0] == "blocks.1.attn.focus"
    assert [hint.at for hint in explain(scene, wrong[0])] == ["blocks.1.attn.scores"]


@pytest.mark.parametrize("options", CLEAN)
def test_no_error_no_hint(options):
    scene, wrong = scene_of(**options)
    assert not wrong
    assert not any(explain(scene, key) for key in scene.operations)


@pytest.mark.parametrize("options", CLEAN)
def test_the_steps_compute_what_the_reference_does(options):
    scene, _ = scene_of(**options)
    for key, recorded in scene.reference.items():
        if key in scene.operations and recorded.numel():
            computed = Interpreter(scene, key).computed(key)
            assert distance(computed, recorded) <= scene.rounding[key], key


@pytest.mark.parametrize("options", CLEAN)
def test_every_kind_can_prepare_its_variants(options):
    """A search goes on past a variant that does not fit; on ordinary tensors none should be lost so."""
    scene, _ = scene_of(**options)
    for key, step in scene.operations.items():
        operands = Interpreter(scene, key).operands(key)
        if step.inputs and len(operands.tensors) == len(step.inputs):
            assert list(OPERATIONS[step.name].variants(operands)), key


@pytest.mark.parametrize("options", [{}, SMERITY])
@pytest.mark.parametrize("size", [1e-4, 0.1])
def test_noise_is_not_explained(options, size):
    scene, _ = scene_of(**options)
    generator = torch.Generator().manual_seed(0)
    noisy = {}
    for key in scene.operations:
        if key in scene.reference and not key.startswith(("blocks.0.", "blocks.2.", "loss")):
            noise = torch.randn(scene.subject[key].shape, generator=generator, dtype=torch.float64)
            noisy[key] = scene.subject[key] + size * noise
    assert len(noisy) > 16
    for key, tensor in noisy.items():
        subject = {**scene.subject, key: tensor}
        assert not explain(Scene(scene.operations, scene.reference, subject, scene.rounding), key), key


def test_a_number_alone_is_not_explained_by_a_fit():
    scene, _ = scene_of()
    subject = {**scene.subject, "loss": 1.01 * scene.subject["loss"]}
    assert not explain(Scene(scene.operations, scene.reference, subject, scene.rounding), "loss")


def test_zeros_are_not_explained_by_whatever_gives_zeros():
    scene, _ = scene_of()
    key = "blocks.1.attn.q"
    subject = {**scene.subject, key: torch.zeros_like(scene.subject[key])}
    (hint,) = explain(Scene(scene.operations, scene.reference, subject, scene.rounding), key)
    assert "gives zeros" in hint.description


def test_an_error_just_above_the_tolerance_is_not_explained_by_one_just_below(monkeypatch):
    scene, wrong = scene_of(norm("std + EPS", "std + 1e-3"), patch=monkeypatch)
    (hint,) = explain(scene, wrong[0])
    error = distance(scene.subject[wrong[0]], scene.reference[wrong[0]])
    noise = error * torch.randn(scene.subject[wrong[0]].shape, dtype=torch.float64)
    reference = {**scene.reference, wrong[0]: scene.reference[wrong[0]] + 0.5 * noise}
    assert hint.after < 16
    assert not explain(Scene(scene.operations, reference, scene.subject, {wrong[0]: 0.9 * error}), wrong[0])


def test_a_fault_that_no_kind_knows_is_not_explained(monkeypatch):
    plant = norm("x - x.mean(-1, keepdim=True)", "x - x.median(-1, keepdim=True).values")
    scene, wrong = scene_of(plant, patch=monkeypatch)
    assert explain(scene, wrong[0]) == []


def test_keys_without_a_tensor_on_both_sides_have_no_hint():
    scene, _ = scene_of()
    assert explain(scene, "blocks.7.rnn") == []


def test_without_steps_a_transform_of_the_whole_tensor_is_found():
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    for turned, description in (
        (x.flip(0), "reversed along axis 0"),
        (2.5 * x, "scaled by 2.5"),
        (x + 3, "with 3 added"),
    ):
        (hint,) = explain(Scene({}, {"x": turned.float().double()}, {"x": x}, {}), "x")
        assert description in hint.description


def test_a_parameter_that_is_held_otherwise_is_named(monkeypatch):
    scene, wrong = scene_of(held("rnn.weight_hh_l0", lambda p: 0.9 * p), patch=monkeypatch)
    (hint,) = explain(scene, wrong[0])
    assert "holds another param/blocks.0.rnn.weight_hh_l0, which is the recorded one scaled by 0.9" in hint.description


def test_a_number_without_a_name_is_fitted(monkeypatch):
    scene, wrong = scene_of(source(layers, "gelu", ("1.702", "1.65")), patch=monkeypatch)
    assert "applies x sigmoid(1.65 x)" in explain(scene, wrong[0])[0].description


def test_the_reference_may_be_the_odd_one():
    """The recording's LSTM started from zeros, the subject's did not."""
    scene, _ = scene_of()
    zeros = {key: torch.zeros_like(t) for key, t in scene.reference.items() if key.startswith("before.blocks.0.")}
    started = Interpreter(Scene(scene.operations, {**scene.reference, **zeros}, scene.subject, {}), "blocks.0.rnn")
    reference = {**scene.reference, "blocks.0.rnn": started.computed("blocks.0.rnn").float().double()}
    (hint,) = explain(Scene(scene.operations, reference, scene.subject, scene.rounding), "blocks.0.rnn")
    assert hint.description.startswith("the reference starts from zeros")


def test_both_may_be_odd(monkeypatch):
    """Neither side computes what the step says, each something else that is known."""
    scene, _ = scene_of(rnn(after="h = h.flip(0)"), patch=monkeypatch)
    key = "blocks.0.rnn"
    reference = {**scene.reference, key: 2 * scene.reference[key]}
    (hint,) = explain(Scene(scene.operations, reference, scene.subject, scene.rounding), key)
    assert "the reference gives its result scaled by 2; the subject gives its result reversed" in hint.description


def test_parameters_of_a_step():
    scene, _ = scene_of()
    assert parameters_of(scene.operations["blocks.1.attn.q_ln"]) == [
        "blocks.1.attn.qln.weight",
        "blocks.1.attn.qln.bias",
    ]
    assert parameters_of(scene.operations["blocks.1.attn.qk"]) == []
