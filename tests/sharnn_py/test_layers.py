"""Each layer against its equation in plain NumPy float64, in both semantics."""

import numpy as np
import pytest
import torch

from sharnn_py import JULIA, PAPER, Config
from sharnn_py.layers import Attention, Boom, LayerNorm, gelu

RNG = np.random.default_rng(0)


def parameters(module):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def norm(x, weight, bias, program):
    centred = x - x.mean(-1, keepdims=True)
    if program == "julia":
        return weight * centred / (x.std(-1, ddof=1, keepdims=True) + 1e-12) + bias
    return weight * centred / np.sqrt(x.var(-1, keepdims=True) + 1e-12) + bias


@pytest.mark.parametrize("program", ["julia", "paper"])
def test_layer_norm_divides_by_n_minus_1_or_n(program):
    layer = LayerNorm(6, program).double()
    p = parameters(layer)
    x = RNG.normal(size=(3, 2, 6))
    found = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, norm(x, p["weight"], p["bias"], program), rtol=1e-13)


@pytest.mark.parametrize("scale", [0.0, 1e-12])
def test_eps_stands_outside_julias_root_and_inside_papers(scale):
    x = np.array([[1.0, -1.0, 2.0, -2.0]]) * scale
    julia, paper = (
        LayerNorm(4, program).double()(torch.from_numpy(x)).detach().numpy() for program in ("julia", "paper")
    )
    np.testing.assert_allclose(julia, x / (x.std(ddof=1) + 1e-12), rtol=1e-13)
    np.testing.assert_allclose(paper, x / np.sqrt(x.var() + 1e-12), rtol=1e-13)


def test_a_constant_row_gives_bias_and_julias_gradient_is_nan_there():
    for program, nan in (("julia", True), ("paper", False)):
        layer = LayerNorm(4, program)
        torch.nn.init.constant_(layer.bias, 0.5)
        x = torch.full((1, 4), 3.0, requires_grad=True)
        y = layer(x)
        assert torch.equal(y, torch.full((1, 4), 0.5))
        y.sum().backward()
        assert bool(torch.isnan(x.grad).any()) is nan


def test_gelu_is_the_sigmoid_form():
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    np.testing.assert_allclose(gelu(x).numpy(), x.numpy() * sigmoid(1.702 * x.numpy()), rtol=1e-14)


def test_boom_folds_chunk_sums_in_julia_and_sums_chunks_in_paper():
    x = np.arange(12.0)  # F = 12, H = 4: chunks 0..3, 4..7, 8..11
    julia = Boom(Config(vocab=2, emb=4, hidden=12, layers=1, semantics=JULIA))
    paper = Boom(Config(vocab=2, emb=4, hidden=12, layers=1, semantics=PAPER))
    np.testing.assert_array_equal(julia.fold(torch.from_numpy(x)), [6, 22, 38, 0])
    np.testing.assert_array_equal(paper.fold(torch.from_numpy(x)), [12, 15, 18, 21])
    short = Boom(Config(vocab=2, emb=4, hidden=11, layers=1, semantics=PAPER))
    np.testing.assert_array_equal(short.fold(torch.from_numpy(x[:11])), [4, 6, 8, 10])


@pytest.mark.parametrize("semantics", [JULIA, PAPER, JULIA.flipped("attention_scale")])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_attention(semantics, heads):
    T, B, H, M = 4, 2, 6, 3
    d = H // heads
    layer = Attention(Config(vocab=2, emb=H, hidden=12, layers=2, heads=heads, semantics=semantics)).double()
    p = parameters(layer)
    h, keys = RNG.normal(size=(T, B, H)), RNG.normal(size=(M + T, B, H))
    mask = np.triu(np.full((T, M + T), -np.inf), M + 1)
    found = layer(*(torch.from_numpy(a) for a in (h, keys, mask))).detach().numpy()

    q = norm(h @ p["q.weight"].T + p["q.bias"], p["qln.weight"], p["qln.bias"], semantics.layer_norm) * sigmoid(p["qs"])
    both = p["overparam.weight"] @ sigmoid(p["vs"]) + p["overparam.bias"]
    gain = sigmoid(both[H:]) * np.tanh(both[:H])
    scale = T if semantics.attention_scale == "julia" else d
    expected = np.zeros((T, B, H))
    for b in range(B):
        for a in range(heads):
            at = slice(a * d, (a + 1) * d)
            scores = q[:, b, at] @ (keys[:, b, at] * sigmoid(p["ks"])[at]).T / np.sqrt(scale) + mask
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            expected[:, b, at] = weights @ (keys[:, b, at] * gain[at])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_collapsed_values_use_vs_as_it_is():
    layer = Attention(Config(vocab=2, emb=4, hidden=8, layers=2, collapsed_values=True))
    assert torch.equal(layer.value_gain(), layer.vs)
    assert not any("overparam" in name for name, _ in layer.named_parameters())


@pytest.mark.parametrize(
    ("semantics", "dropped"), [(JULIA, False), (PAPER, True), (JULIA.flipped("attention_dropout"), True)]
)
def test_dropout_reaches_queries_values_and_weights_in_paper_alone(semantics, dropped):
    config = Config(vocab=2, emb=4, hidden=8, layers=2, dropout_hidden=0.5, semantics=semantics)
    layer = Attention(config).train()
    parameters(layer)
    calls = []
    layer.dropout.register_forward_hook(lambda module, given, out: calls.append(not torch.equal(given[0], out)))
    torch.manual_seed(0)
    layer(torch.randn(8, 4, 4), torch.randn(8, 4, 4), torch.zeros(8, 8))
    assert calls == [dropped] * 3
