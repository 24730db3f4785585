"""Loaded parameters and optimiser updates: what is wrong with them is explained, too."""

import math

import pytest
import torch

from parity.diagnosis import explain
from parity.diagnosis.interpreter import Interpreter
from parity.diagnosis.matching import distance
from parity.sharnn.faults import FAULTS
from parity.sharnn.faults.plant import planted
from parity.sharnn.update_operations import parameter_operation, schedule_factors, update_operations
from parity.subject.scene import Scene
from sharnn_py import lamb

H = 6


def flat_lstm():
    """Knet's vector of an LSTM's parameters, and what it is made of."""
    parts = [("weight_ih", (4 * H, H)), ("weight_hh", (4 * H, H)), ("bias_ih", (4 * H,)), ("bias_hh", (4 * H,))]
    size = sum(math.prod(shape) for _, shape in parts)
    return torch.randn(size, generator=torch.Generator().manual_seed(0)).reshape(-1, 1, 1), parts


def in_parts(change):
    """A change of the four tensors of the flat vector."""

    def changed(flat):
        pieces = torch.split(flat.flatten(), [math.prod(shape) for _, shape in flat_lstm()[1]])
        pieces = [piece.reshape(shape) for piece, (_, shape) in zip(pieces, flat_lstm()[1], strict=True)]
        return torch.cat([piece.flatten() for piece in change(*pieces)]).reshape(flat.shape)

    return changed


def gates(order):
    return lambda p: torch.cat([p.chunk(4)["ifco".index(gate)] for gate in order])


LSTM_FAULTS = [
    (in_parts(lambda *p: map(gates("icfo"), p)), "gates in the order i, c, f, o; the reference i, f, c, o"),
    (in_parts(lambda a, b, c, d: (a, b, d, c)), "has bias_ih and bias_hh exchanged"),
    (in_parts(lambda a, b, c, d: (b, a, c, d)), "has weight_ih and weight_hh exchanged"),
    (in_parts(lambda a, b, c, d: (a, b, c, 0 * d)), "has its bias_hh changed: it is all zeros"),
    (in_parts(lambda a, b, c, d: (c, d, a, b)), "parts in the order bias_ih, bias_hh, weight_ih, weight_hh"),
    (
        in_parts(lambda a, b, c, d: (a, torch.cat([g.T for g in b.chunk(4)]), c, d)),
        "has its weight_hh changed: it has every gate's block transposed",
    ),
    (lambda flat: flat.half().float(), "rounded to float16"),
    (lambda flat: flat.flip(0), "reversed along axis 0"),
]

MATRIX_FAULTS = [
    (lambda w: w.T, "is transposed"),
    (torch.ones_like, "is all ones"),
    (torch.zeros_like, "is all zeros"),
    (lambda w: w.flip(1), "reversed along axis 1"),
    (lambda w: torch.cat([w[H // 2 :], w[: H // 2]]), "its rows in 2 blocks in the order 2, 1"),
    (lambda w: 0.1 * w, "scaled by 0.1"),
    (lambda w: w.bfloat16().float(), "rounded to bfloat16"),
    (lambda w: w + 0.25, "with 0.25 added"),
]


def parameter_hint(operations, recorded, key, held):
    scene = Scene(operations, {k: t.double() for k, t in recorded.items()}, {key: held.double()}, {})
    (hint,) = explain(scene, key)
    assert hint.after == 0
    return hint.description


@pytest.mark.parametrize(("change", "expected"), LSTM_FAULTS)
def test_a_flat_vector_is_explained_part_by_part(change, expected):
    flat, parts = flat_lstm()
    operations = {"rnn.w": parameter_operation("rnn.w", gates="ifco", parts=parts)}
    assert expected in parameter_hint(operations, {"rnn.w": flat}, "rnn.w", change(flat))


@pytest.mark.parametrize(("change", "expected"), MATRIX_FAULTS)
def test_a_matrix_is_explained(change, expected):
    w = torch.randn(H, H, generator=torch.Generator().manual_seed(1))
    assert expected in parameter_hint({"w": parameter_operation("w")}, {"w": w}, "w", change(w))


def test_a_matrix_that_was_reshaped_and_not_transposed():
    w = torch.randn(H, 2 * H, generator=torch.Generator().manual_seed(1))
    description = parameter_hint({"w": parameter_operation("w")}, {"w": w}, "w", w.T.reshape(w.shape))
    assert "is transposed, but reshaped and not turned" in description


def test_a_parameter_taken_for_another_is_named():
    ih, hh, w = (torch.randn(4 * H, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2, 3))
    recorded = {"bias_ih": ih, "bias_hh": hh, "w": w}
    operations = {
        "bias_ih": parameter_operation("bias_ih", gates="ifco", others=["bias_hh"]),
        "w": parameter_operation("w"),
    }
    assert "has bias_hh in its place" in parameter_hint(operations, recorded, "bias_ih", hh)
    assert "has bias_hh added to it" in parameter_hint(operations, recorded, "bias_ih", ih + hh)
    assert "takes w" in parameter_hint(operations, recorded, "bias_ih", w)


def test_a_parameter_as_recorded_has_no_hint():
    flat, parts = flat_lstm()
    scene = Scene(
        {"w": parameter_operation("w", gates="ifco", parts=parts)}, {"w": flat.double()}, {"w": flat.double()}, {}
    )
    assert explain(scene, "w") == []


SETTINGS = {"lr": 0.05, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 0.02, "min_trust": 0.25}
SCHEDULE = {"total_steps": 8, "warmup": 0.2, "schedule_name": "warmup_cosine"}
UPDATE = 3


def optimiser(w, clip):
    groups = [{"params": [w], "clip": clip}]
    return lamb.MinTrustLAMB(groups, **SETTINGS, **SCHEDULE)


def update_scene(key, clip, *changes):
    """The third of three updates, the subject's from the reference's state before it, with `changes` planted."""
    generator = torch.Generator().manual_seed(0)
    w = torch.nn.Parameter(torch.randn(5, 4, generator=generator))
    gradients = [0.3 * torch.randn(5, 4, generator=generator) for _ in range(UPDATE)]
    rounded = optimiser(w, clip)

    def state(optimizer, parameter, names):
        held = {"w": parameter.detach(), **{m: optimizer.state[parameter][m] for m in "mv"}}
        return {name: tensor.double().clone() for name, tensor in zip(names, held.values(), strict=True)}

    for gradient in gradients[:-1]:
        w.grad = gradient.clone()
        rounded.step()
    before = state(rounded, w, ("w", "m", "v"))
    w.grad = gradients[-1].clone()
    rounded.step()
    reference = state(rounded, w, ("w_after", "m_after", "v_after"))

    exact = torch.nn.Parameter(before["w"].clone())
    subject_optimiser = optimiser(exact, clip)
    subject_optimiser.state[exact].update(m=before["m"].clone(), v=before["v"].clone())
    subject_optimiser.param_groups[0]["step"] = UPDATE - 1
    exact.grad = gradients[-1].double()
    with planted(*changes):
        subject_optimiser.step()
    subject = state(subject_optimiser, exact, ("w_after", "m_after", "v_after"))

    g = gradients[-1].double()
    factor, others = schedule_factors("warmup_cosine", UPDATE, 8, 0.2)
    operations = update_operations(**SETTINGS, update=UPDATE, clip=clip, factor=factor, other_factors=others)
    joint = {"joint": (g.norm() * 3).reshape(())}
    extra = {"update": before["w"] - subject["w_after"]}
    return Scene(operations, {**before, "g": g, key: reference[key]}, {**subject, **joint, **extra}, {})


UPDATES = [
    pytest.param(fault.change, key, words, id=f"{fault.name}, {key}")
    for fault in FAULTS
    for key, words in fault.scenes.items()
    if key in ("m_after", "v_after", "w_after")
]


@pytest.mark.parametrize(("change", "key", "expected"), UPDATES)
def test_an_update_is_explained(change, key, expected):
    (hint,) = explain(update_scene(key, 0.25, change), key)
    assert expected in hint.description
    assert hint.before > 16 >= hint.after


@pytest.mark.parametrize("key", ["m_after", "v_after", "w_after"])
@pytest.mark.parametrize("clip", [0.25, None])
def test_an_update_as_recorded_has_no_hint(key, clip):
    scene = update_scene(key, clip)
    assert distance(Interpreter(scene, key).computed(key), scene.subject[key]) < 1e-12
    assert explain(scene, key) == []


def test_factors_of_the_schedule():
    factor, others = schedule_factors("warmup_linear", 3, 10, 0.2)
    assert factor == pytest.approx(0.7)
    assert others["the schedule's of the update before"] == pytest.approx(0.8)
    assert others["as in the warm-up"] == pytest.approx(1.5)
    assert schedule_factors("warmup_linear", 3, None, 0.2) == (1.0, {})
