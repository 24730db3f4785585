"""MinTrustLAMB against the update written out in NumPy, and the two programs' ways of setting it up."""

import copy

import numpy as np
import pytest
import torch

from sharnn_py import JULIA, PAPER, SHARNN, Config, ConfigError, MinTrustLAMB, julia_lamb, paper_lamb
from sharnn_py.lamb import schedule


def numpy_lamb(w, gradients, *, lr, decay=0.0, clip=None):
    """Several updates of one parameter, as semantics.md lists the steps."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        norm = np.linalg.norm(g)
        if clip is not None and norm > clip:
            g = g * clip / norm
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step = m / (np.sqrt(v) + 1e-6) + decay * w
        a, b = min(np.linalg.norm(w), 10), np.linalg.norm(step)
        trust = max(1 if a == 0 or b == 0 else a / b, 0.25)
        w = w - lr * trust * step
    return w


@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize("clip", [None, 0.25])
def test_updates_follow_the_equations(size, clip):
    rng = np.random.default_rng(0)
    w, gradients = rng.normal(size=(4, 3)) * size, rng.normal(size=(3, 4, 3))
    parameters = [torch.nn.Parameter(torch.from_numpy(half.copy())) for half in (w[:1], w[1:])]
    optimizer = MinTrustLAMB([{"params": parameters}], lr=0.1, weight_decay=0.01, clip=clip)
    for g in gradients:
        parameters[0].grad, parameters[1].grad = (torch.from_numpy(half.copy()) for half in (g[:1], g[1:]))
        optimizer.step()
    found = torch.cat(parameters).detach().numpy()
    expected = numpy_lamb(w, gradients, lr=0.1, decay=0.01, clip=clip)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_a_gradient_of_zero_moves_nothing():
    w = torch.nn.Parameter(torch.ones(3))
    w.grad = torch.zeros(3)
    MinTrustLAMB([{"params": [w]}], lr=0.1).step()
    assert torch.equal(w.detach(), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "at_half"), [("warmup_constant", 1.0), ("warmup_cosine", 0.5), ("warmup_linear", 0.5)]
)
def test_schedules(name, at_half):
    assert schedule(name, 0.05, 0.1) == 0.5
    assert schedule(name, 0.5, 0.1) == pytest.approx(at_half, abs=1e-15)
    assert schedule(name, 0.5, -1) == pytest.approx(at_half, abs=1e-15)


def test_the_schedule_scales_every_update():
    w = torch.nn.Parameter(torch.full((1,), 5.0, dtype=torch.float64))
    optimizer = MinTrustLAMB([{"params": [w]}], lr=1e-3, total_steps=10, warmup=0.2, schedule_name="warmup_linear")
    moves = []
    for _ in range(3):
        before = w.item()
        w.grad = torch.ones_like(w)
        optimizer.step()
        moves.append((before - w.item()) / before)  # trust makes a step's size |w|
    np.testing.assert_allclose(moves, [0.5e-3, 0.8e-3, 0.7e-3], rtol=1e-9)


def config(semantics, tied):
    return Config(vocab=11, emb=8, hidden=24, layers=2, tied=tied, semantics=semantics)


@pytest.mark.parametrize("tied", [True, False])
def test_julia_clips_decays_and_norms_by_its_own_parameters(tied):
    model = SHARNN(config(JULIA, tied))
    groups = {group["name"]: group for group in julia_lamb(model).param_groups}
    unclipped = {name for name, group in groups.items() if group["clip"] is None}
    assert unclipped == {"blocks.1.rnn.w", "blocks.2.rnn.w"} | (set() if tied else {"encoder.w"})
    decaying = {name for name, group in groups.items() if group["weight_decay"]}
    assert all(name.endswith((".b", ".gamma", ".beta")) for name in decaying)
    assert not decaying & {"blocks.1.rnn.w", "blocks.1.attn.qs", "encoder.w"}
    assert len(groups["blocks.1.rnn.w"]["params"]) == 4
    assert sum(len(group["params"]) for group in groups.values()) == len(list(model.parameters()))


def test_paper_decays_everything_and_clips_once_over_all():
    model = SHARNN(config(PAPER, True)).double()
    optimizer = paper_lamb(model)
    assert all(group["weight_decay"] == 1.2e-6 and group["clip"] is None for group in optimizer.param_groups)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert norm.item() == pytest.approx(0.25, rel=1e-6)


def test_moments_survive_a_saved_optimizer():
    w = torch.nn.Parameter(torch.ones(3))
    w.grad = torch.ones(3)
    optimizer = MinTrustLAMB([{"params": [w]}], lr=0.1, total_steps=10)
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    other = MinTrustLAMB([{"params": [torch.nn.Parameter(w.detach().clone())]}], lr=0.1, total_steps=10)
    other.load_state_dict(saved)
    for o in (optimizer, other):
        o.param_groups[0]["params"][0].grad = torch.full((3,), 0.5)
        o.step()
    assert torch.equal(optimizer.param_groups[0]["params"][0], other.param_groups[0]["params"][0])


def test_bad_settings():
    w = torch.nn.Parameter(torch.ones(1))
    with pytest.raises(ConfigError, match="no schedule 'cosine'"):
        MinTrustLAMB([{"params": [w]}], lr=0.1, schedule_name="cosine")
    with pytest.raises(ConfigError, match="total_steps is 0"):
        MinTrustLAMB([{"params": [w]}], lr=0.1, total_steps=0)
