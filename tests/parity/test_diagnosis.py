"""Every fault is explained, by a first hint that says what it is; what is not known is not explained."""

import pytest
import torch

from parity.diagnosis import explain
from parity.diagnosis.interpreter import Interpreter
from parity.diagnosis.matching import distance
from parity.diagnosis.operations import OPERATIONS
from parity.sharnn.faults import FAULTS
from parity.sharnn.faults.plant import Edit
from parity.sharnn.operations import parameters_of
from parity.subject.scene import Scene
from sharnn_py import JULIA, PAPER
from tests.parity.diagnosed import SCENES, SMERITY, scene_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run")]

CHANGE = {fault.name: fault.change for fault in FAULTS}
EXPLAINED = [
    pytest.param(fault.change, scene, words, id=f"{fault.name}, {scene}")
    for fault in FAULTS
    for scene, words in fault.scenes.items()
    if scene in SCENES
]
FLIPS = [
    ("julia", JULIA, "layer_norm", "divides the variance by n - 1 = 7; the subject by n = 8"),
    ("julia", JULIA, "boom", "gives the total of each chunk"),
    ("julia", JULIA, "attention_scale", "divides by sqrt(T) = sqrt(5)"),
    ("julia", JULIA, "memory_cut", "drops no rows; the subject the oldest 1"),
    ("smerity", PAPER, "layer_norm", "divides the variance by n = 8"),
    ("smerity", PAPER, "boom", "adds the chunks element by element"),
    ("smerity", PAPER, "attention_scale", "divides by sqrt(d) = sqrt(4)"),
    ("smerity", PAPER, "memory_cut", "drops the oldest 1 row"),
]
CLEAN = [{}, {"semantics": "paper"}, SMERITY, {"segment": 1}, {"tied": True, "heads": 1}]


@pytest.mark.parametrize(("change", "scene", "expected"), EXPLAINED)
def test_the_first_hint_says_what_was_planted(change, scene, expected):
    assert_explained(expected, *scene_of(change, **SCENES[scene]))


@pytest.mark.parametrize(("scene", "semantics", "row", "expected"), FLIPS)
def test_the_first_hint_says_which_semantics_the_reference_has(scene, semantics, row, expected):
    assert_explained(f"the reference {expected}", *scene_of(subject_semantics=semantics.flipped(row), **SCENES[scene]))


def assert_explained(expected, scene, wrong):
    hints = explain(scene, wrong[0])
    assert hints, wrong
    assert expected in hints[0].description
    assert hints[0].before > 16 >= hints[0].after


def test_there_is_one_hint_and_it_tells_where():
    """The fault is in an operation whose result Smerity's recordings do not hold."""
    scene, wrong = scene_of(CHANGE["scale-without-root"], **SMERITY)
    assert wrong[0] == "blocks.1.attn.focus"
    assert [hint.at for hint in explain(scene, wrong[0])] == ["blocks.1.attn.scores"]


@pytest.mark.parametrize("options", CLEAN)
def test_no_error_no_hint(options):
    scene, wrong = scene_of(**options)
    assert not wrong
    assert not any(explain(scene, key) for key in scene.operations)


@pytest.mark.parametrize("options", CLEAN)
def test_the_operations_compute_what_the_reference_does(options):
    scene, _ = scene_of(**options)
    for key, recorded in scene.reference.items():
        if key in scene.operations and recorded.numel():
            computed = Interpreter(scene, key).computed(key)
            assert distance(computed, recorded) <= scene.rounding[key], key


@pytest.mark.parametrize("options", CLEAN)
def test_every_operation_can_prepare_its_variants(options):
    """A search skips variants that do not fit their operands; on ordinary tensors none should be lost that way."""
    scene, _ = scene_of(**options)
    for key, operation in scene.operations.items():
        operands = Interpreter(scene, key).operands(key)
        if operation.inputs and len(operands.tensors) == len(operation.inputs):
            assert list(OPERATIONS[operation.name].variants(operands)), key


@pytest.mark.parametrize(("options", "size"), [({}, 1e-4), (SMERITY, 0.1)], ids=["julia", "paper"])
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


def test_an_error_just_above_the_tolerance_is_not_explained_by_one_just_below():
    scene, wrong = scene_of(CHANGE["norm-with-a-large-eps"])
    (hint,) = explain(scene, wrong[0])
    error = distance(scene.subject[wrong[0]], scene.reference[wrong[0]])
    noise = error * torch.randn(scene.subject[wrong[0]].shape, dtype=torch.float64)
    reference = {**scene.reference, wrong[0]: scene.reference[wrong[0]] + 0.5 * noise}
    assert hint.after < 16
    assert not explain(Scene(scene.operations, reference, scene.subject, {wrong[0]: 0.9 * error}), wrong[0])


def test_a_fault_that_no_operation_lists_is_not_explained():
    weighted = "(x.softmax(-1) * x).sum(-1, keepdim=True)"
    scene, wrong = scene_of(Edit("sharnn_py.layers:LayerNorm.forward", "x.mean(-1, keepdim=True)", weighted))
    assert explain(scene, wrong[0]) == []


def test_keys_without_a_tensor_on_both_sides_have_no_hint():
    scene, _ = scene_of()
    assert explain(scene, "blocks.7.rnn") == []


def test_without_operations_a_transform_of_the_whole_tensor_is_found():
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    for turned, description in (
        (x.flip(0), "reversed along axis 0"),
        (2.5 * x, "scaled by 2.5"),
        (x + 3, "with 3 added"),
    ):
        (hint,) = explain(Scene({}, {"x": turned.float().double()}, {"x": x}, {}), "x")
        assert description in hint.description


def test_a_number_without_a_name_is_fitted():
    scene, wrong = scene_of(Edit("sharnn_py.layers:gelu", "1.702 * x)", "1.65 * x)"))
    assert "applies x sigmoid(1.65 x)" in explain(scene, wrong[0])[0].description


def test_the_reference_may_compute_the_variant():
    """The recording's LSTM started from zeros, the subject's did not."""
    scene, _ = scene_of()
    zeros = {key: torch.zeros_like(t) for key, t in scene.reference.items() if key.startswith("before.blocks.0.")}
    started = Interpreter(Scene(scene.operations, {**scene.reference, **zeros}, scene.subject, {}), "blocks.0.rnn")
    reference = {**scene.reference, "blocks.0.rnn": started.computed("blocks.0.rnn").float().double()}
    (hint,) = explain(Scene(scene.operations, reference, scene.subject, scene.rounding), "blocks.0.rnn")
    assert hint.description.startswith("the reference starts from zeros")


def test_both_may_compute_variants():
    """Neither side computes the canonical formula; each computes another known variant."""
    scene, _ = scene_of(Edit("sharnn_py.model:Block.forward", 'note("rnn", h)', 'note("rnn", h.flip(0))'))
    key = "blocks.0.rnn"
    reference = {**scene.reference, key: 2 * scene.reference[key]}
    (hint,) = explain(Scene(scene.operations, reference, scene.subject, scene.rounding), key)
    assert "the reference gives its result scaled by 2; the subject gives its result reversed" in hint.description


def test_parameters_of_an_operation():
    scene, _ = scene_of()
    assert parameters_of(scene.operations["blocks.1.attn.q_ln"]) == [
        "blocks.1.attn.qln.weight",
        "blocks.1.attn.qln.bias",
    ]
    assert parameters_of(scene.operations["blocks.1.attn.qk"]) == []
