"""Proposals for the conversion of parameters: transposed, reshaped, fused and split, by value and by shape."""

import pytest
import torch
from torch import nn

import parity
from parity import UsageError


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out, self.norm = nn.Linear(8, 24), nn.Linear(8, 8), nn.LayerNorm(8)
        self.up, self.conv = nn.Linear(8, 32), nn.Conv2d(4, 6, 3)


def initialised(module, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def as_flax(module):
    """As Flax has them: matrices (in, out), heads as an axis, kernels of a convolution (height, width, in, out)."""
    p = {name: t.detach() for name, t in module.state_dict().items()}
    q, k, v = p["qkv.weight"].chunk(3)
    bq, bk, bv = p["qkv.bias"].chunk(3)
    arrays = {
        "attn/query/kernel": q.T.reshape(8, 2, 4), "attn/query/bias": bq.reshape(2, 4),
        "attn/key/kernel": k.T.reshape(8, 2, 4), "attn/key/bias": bk.reshape(2, 4),
        "attn/value/kernel": v.T.reshape(8, 2, 4), "attn/value/bias": bv.reshape(2, 4),
        "attn/out/kernel": p["out.weight"].T, "attn/out/bias": p["out.bias"],
        "norm/scale": p["norm.weight"], "norm/bias": p["norm.bias"],
        "up/kernel": p["up.weight"].T, "up/bias": p["up.bias"],
        "conv/kernel": p["conv.weight"].permute(2, 3, 1, 0), "conv/bias": p["conv.bias"],
    }  # fmt: skip
    return {name: array.numpy() for name, array in arrays.items()}


def test_a_module_that_has_the_values_tells_how_they_are_made():
    module = initialised(Attention(), 0)
    found = parity.map_weights(as_flax(module), module)
    assert not found.missing
    assert not found.unused
    assert {c.by for c in found.conversions} == {"value"}
    made = found.state_dict()
    for name, tensor in module.state_dict().items():
        assert torch.equal(made[name], tensor), name
    assert "up.weight = up/kernel, permuted (1, 0) (by value)" in str(found)
    assert "qkv.weight = attn/query/kernel + attn/key/kernel + attn/value/kernel, put together along axis 0" in str(
        found
    )


def test_what_the_reference_has_fused_is_split():
    whole = initialised(nn.MultiheadAttention(8, 2), 0)
    module = nn.ModuleDict({name: nn.Linear(8, 8) for name in ("key", "query", "value")})
    with torch.no_grad():
        for name, w, b in zip(
            ("query", "key", "value"), whole.in_proj_weight.chunk(3), whole.in_proj_bias.chunk(3), strict=True
        ):
            module[name].weight.copy_(w)
            module[name].bias.copy_(b)
    reference = {"c_attn.weight": whole.in_proj_weight.T, "c_attn.bias": whole.in_proj_bias}
    found = parity.map_weights(reference, module)
    assert torch.equal(found.state_dict()["key.weight"], module["key"].weight)
    assert "key.weight = c_attn.weight, part 2 of 3 along axis 1, permuted (1, 0) (by value)" in str(found)


def test_without_the_values_shapes_and_names_tell():
    module, source = initialised(Attention(), 1), initialised(Attention(), 0)
    found = parity.map_weights(as_flax(source), module)
    assert not found.missing
    assert {c.by for c in found.conversions} == {"shape and order"}
    made, wanted = found.state_dict(), source.state_dict()
    for name in (
        "up.weight",
        "up.bias",
        "conv.weight",
        "conv.bias",
        "norm.weight",
        "norm.bias",
        "out.weight",
        "out.bias",
    ):
        assert torch.equal(made[name], wanted[name]), str(found)


def test_what_is_not_found_and_not_used_is_named():
    found = parity.map_weights({"a": torch.randn(3), "b": torch.randn(5, 5)}, nn.Linear(4, 3))
    assert found.missing == ["weight"]
    assert found.unused == ["b"]
    assert "not found: weight" in str(found)
    assert "not used: b" in str(found)
    with pytest.raises(UsageError, match="no parameters"):
        parity.map_weights(parity.recording_of({"input/1/0": torch.ones(1)}), nn.Linear(4, 3))
