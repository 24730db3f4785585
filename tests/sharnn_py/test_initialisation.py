"""Row 7: fresh models are drawn as each program draws them."""

import math

import pytest
import torch

from sharnn_py import JULIA, PAPER, SHARNN, Config

V, H, F = 400, 64, 256


def fresh(semantics, tied=False):
    model = SHARNN(
        Config(vocab=V, emb=H, hidden=F, layers=2, tied=tied, semantics=semantics), torch.Generator().manual_seed(0)
    )
    return {name: p.detach() for name, p in model.named_parameters()}


def check_std(tensor, std):
    # The standard deviation of n normal draws is known to about 1 / sqrt(2n); five of those.
    assert float(tensor.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * tensor.numel()))
    assert abs(float(tensor.mean())) < 5 * std / math.sqrt(tensor.numel())


@pytest.mark.parametrize("semantics", [JULIA, PAPER])
def test_gates_of_the_values_and_biases_begin_at_zero(semantics):
    p = fresh(semantics)
    for name in (
        "attn.qs",
        "attn.ks",
        "attn.vs",
        "attn.q.bias",
        "attn.overparam.bias",
        "boom.linear.bias",
        "lnff.bias",
    ):
        assert not p[f"blocks.0.{name}"].any()
    assert not p["decoder.bias"].any()


def test_julia():
    p = fresh(JULIA)
    check_std(p["encoder.weight"], 0.1 / math.sqrt(V))
    check_std(p["decoder.weight"], 0.1 / math.sqrt(H))
    check_std(p["blocks.0.boom.linear.weight"], 0.1 / math.sqrt(H))
    assert (p["blocks.0.lnstart.weight"] == 1).all()
    bound = math.sqrt(6 / (2 * H))  # each gate's matrix is (H, H)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        matrix = p[f"blocks.0.rnn.{name}"]
        assert 0.98 * bound < float(matrix.abs().max()) <= bound
        check_std(matrix, bound / math.sqrt(3))
    for name in ("bias_ih_l0", "bias_hh_l0"):
        gates = p[f"blocks.0.rnn.{name}"].chunk(4)
        assert [float(g.min()) for g in gates] == [float(g.max()) for g in gates] == [0, 1, 0, 0]


def test_paper():
    p = fresh(PAPER)
    for name in ("encoder.weight", "decoder.weight", "blocks.0.attn.q.weight", "blocks.0.lnff.weight"):
        check_std(p[name], 0.1 / math.sqrt(H))
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        tensor = p[f"blocks.0.rnn.{name}"]
        assert 0.9 / math.sqrt(H) < float(tensor.abs().max()) <= 1 / math.sqrt(H)


def test_a_generator_makes_it_repeatable():
    assert torch.equal(fresh(JULIA, tied=True)["encoder.weight"], fresh(JULIA, tied=True)["encoder.weight"])
