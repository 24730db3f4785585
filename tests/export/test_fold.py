"""What is folded into the weights is what the model computes, in float64; what a moved eps changes is bounded."""

import math

import numpy as np
import pytest
import torch

from export.fold import LAYER_NORM_EPS, fold, norm_eps
from sharnn_py.layers import EPS, LayerNorm
from sharnn_py.trace import passing


@pytest.fixture
def folded(model):
    return fold({name: p.detach().double().numpy() for name, p in model.state_dict().items()}, model.config)


def norm(x, weight, bias, eps):
    """ONNX's LayerNormalization, in float64."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * weight + bias


def test_the_eps_of_both_programs_is_the_one_that_the_model_has():
    assert LAYER_NORM_EPS == EPS


def test_queries_carry_the_gains_of_queries_and_keys_and_the_scale(model, folded):
    config, attention = model.config, model.blocks[0].attn.double()
    x = torch.randn(5, 2, config.emb, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen = {}
    with torch.no_grad():
        attention(x, x, torch.zeros(5, 5), passing(seen.__setitem__))
    attention.float()
    linear = x.numpy() @ folded["blocks.0.attn.q.weight"] + folded["blocks.0.attn.q.bias"]
    eps = norm_eps(config.semantics.layer_norm, config.emb)
    q = norm(linear, folded["blocks.0.attn.qln.weight"], folded["blocks.0.attn.qln.bias"], eps)
    expected = seen["q"].numpy() * seen["ks"].numpy()
    if config.semantics.attention_scale == "paper":
        expected = expected / math.sqrt(config.emb // config.heads)
    np.testing.assert_allclose(q, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(folded["blocks.0.attn.gain"] * x.numpy(), seen["v"].numpy(), rtol=1e-11)


def test_gates_are_in_the_order_i_o_f_c(model, folded):
    torch_rows = model.blocks[1].rnn.weight_hh_l0.detach().double().numpy().reshape(4, model.config.emb, -1)  # i f g o
    rows = folded["blocks.1.rnn.R"].T.reshape(4, model.config.emb, -1)
    for ours, theirs in zip((0, 1, 2, 3), (0, 3, 1, 2), strict=True):
        assert np.array_equal(rows[ours], torch_rows[theirs])


def test_collapsed_values_are_taken_as_they_are(config):
    import dataclasses

    from tests.export.conftest import trained_looking

    model = trained_looking(dataclasses.replace(config, collapsed_values=True))
    parameters = {name: p.detach().double().numpy() for name, p in model.state_dict().items()}
    assert np.array_equal(fold(parameters, model.config)["blocks.2.attn.gain"], parameters["blocks.2.attn.vs"])


@pytest.mark.parametrize("deviation", [0.0, 1e-14, 1e-12, 1e-10, 1e-6, 1.0])
def test_moving_julias_eps_into_the_root_changes_no_more_than_docs_say(deviation):
    """The change is a factor from 1 to sqrt(2), and at most 1 + eps / deviation; on a constant row it is nothing."""
    width = 8
    module = LayerNorm(width, "julia").double()
    row = np.array([1.0, -1, 2, -2, 3, -3, 0.5, -0.5])
    row = row / row.std() * deviation
    with torch.no_grad():
        julia = module(torch.from_numpy(row)).numpy()
    ours = norm(row, math.sqrt((width - 1) / width), 0.0, norm_eps("julia", width))
    if deviation == 0.0:
        assert np.array_equal(ours, julia)
        assert np.array_equal(julia, np.zeros(width))
        return
    ratio = ours / julia
    r = math.sqrt((width - 1) / width)
    rounding = 1e-9 if deviation > 1e-11 else 1e-6
    assert ratio.min() >= 1 - rounding
    assert ratio.max() <= min(math.sqrt(2), 1 + r * EPS / deviation) + rounding
