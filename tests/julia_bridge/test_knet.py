"""The bridge's own Knet, function by function, against torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import julia_bridge

KNET = Path(julia_bridge.__path__[0]) / "julia" / "Knet.jl"


@pytest.fixture(scope="module")
def julia(worker):
    worker.include(KNET)
    worker.include(Path(__file__).with_name("knet_probe.jl"))
    return worker


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("begins", ["from zeros", "from a state"])
def test_rnn_is_torchs_lstm(julia, begins):
    X, H, B = 3, 5, 2
    lstm = torch.nn.LSTM(X, H)
    # Knet's vector is torch's four tensors one after another, each as it stands.
    w = np.concatenate([p.detach().numpy().ravel() for p in lstm.parameters()]).reshape(-1, 1, 1)
    first, second, h, c = normal(4, B, X), normal(1, B, X), normal(1, B, H), normal(2, B, H)[:1]
    state, theirs = ((h, c), (torch.from_numpy(h), torch.from_numpy(c)))
    if begins == "from zeros":
        state, theirs = (0, 0), None
    for x, found in zip((first, second), julia.call("KnetProbe.rnn", w, first, second, H, *state), strict=True):
        y, theirs = lstm(torch.from_numpy(x), theirs)
        for ours, expected in zip(found, (y, *theirs), strict=True):
            assert ours.shape == tuple(expected.shape)
            assert_close(ours, expected)


@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_bmm(julia, trans_a, trans_b):
    x = normal(2, 3, 4, 5) if not trans_a else normal(2, 3, 5, 4)
    y = normal(2, 3, 6, 4) if not trans_b else normal(2, 3, 4, 6)
    # With the axes reversed Julia's x * y is y times x.
    a, b = (torch.from_numpy(t).mT if trans else torch.from_numpy(t) for t, trans in ((x, trans_a), (y, trans_b)))
    assert_close(julia.call("KnetProbe.bmm", x, y, trans_a, trans_b), b @ a)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_softmax(julia, axis):
    x = normal(2, 3, 4) * 50
    x[0, 0, 0] = -np.inf
    assert_close(julia.call("KnetProbe.softmax", x, axis), torch.from_numpy(x).softmax(3 - axis))


def test_nll_leaves_label_0_out(julia):
    scores, labels = normal(3, 2, 7) * 50, np.array([[1, 0], [7, 2], [0, 3]])
    expected = F.cross_entropy(
        torch.from_numpy(scores).flatten(0, 1), torch.from_numpy(labels).flatten() - 1, ignore_index=-1
    )
    assert julia.call("Knet.nll", scores, labels) == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("x", [-200.0, -1.5, 0.0, 3.0, 200.0])
def test_sigm(julia, x):
    assert julia.call("Knet.sigm", x) == pytest.approx(torch.tensor(x, dtype=torch.float64).sigmoid().item(), rel=1e-12)
