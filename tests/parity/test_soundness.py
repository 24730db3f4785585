"""A subject cannot buy its tolerance: chance and lost digits are failures of their own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import parity
from parity.arithmetic.lookout import Lookout
from parity.subject.segment_run import CHANGED


class Model(nn.Module):
    """Two linear maps with something between them that a test breaks."""

    def __init__(self, between=lambda x: x):
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)
        self.between = between

    def forward(self, x):
        return self.second(self.between(torch.tanh(self.first(x))))


@pytest.fixture
def sound():
    torch.manual_seed(0)
    model = Model().eval()
    return model, parity.capture(model, torch.randn(5, 8))


def broken(sound, between):
    model, recording = sound
    faulty = Model(between)
    faulty.load_state_dict(model.state_dict())
    return parity.check(faulty, recording)


def test_the_sound_model_agrees(sound):
    assert broken(sound, lambda x: x)


BREAKS = {
    "dropout": (lambda x: F.dropout(x, 0.1, training=True), "draws random numbers"),
    "little noise": (lambda x: x + 1e-6 * torch.randn_like(x), "draws random numbers"),
    "half": (lambda x: x.half().to(x.dtype), "half precision"),
    "half in float32": (lambda x: x.half().float() if x.dtype == torch.float32 else x, "half precision"),
    "bfloat16 in float32": (lambda x: x.bfloat16().float() if x.dtype == torch.float32 else x, "half precision"),
    "scaled in float32": (lambda x: x * 1.0001 if x.dtype == torch.float32 else x, "in float32 that it does not"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_model_that_is_imprecise_fails_and_is_told_why(sound, name):
    between, words = BREAKS[name]
    result = broken(sound, between)
    assert not result
    assert result.first.layer == "second.in"
    assert any(words in hint.description for hint in result.first.hints), result.first


class Attention(nn.Module):
    """Its key's bias adds the same to all scores of a row, so that the bias' gradient is zero, but for rounding."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = (layer(x)[:, None] for layer in (self.query, self.key, self.value))
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)


def test_a_gradient_that_is_zero_but_for_rounding_agrees():
    torch.manual_seed(0)
    module = Attention()
    reference = parity.capture(module, torch.randn(2, 5, 8), loss=lambda out: out.square().sum())
    result = parity.check(module, reference, loss=lambda out: out.square().sum())
    assert result, parity.text(result)
    bias = next(c for c in result.comparisons if c.name == "grad/1/key.bias").end_to_end
    assert bias.tolerance > bias.scale


def test_attention_without_dropout_draws_nothing():
    x = torch.randn(1, 2, 3, 4)
    for dropout, found in ((0.0, False), (0.5, True)):
        with Lookout() as lookout:
            torch.nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=dropout)
        assert bool(lookout.random) == found


def test_a_forward_pass_that_changes_a_parameter_is_named_with_it(sound):
    class Spoiling(Model):
        def forward(self, x):
            output = super().forward(x)
            with torch.no_grad():
                self.second.bias.add_(1e-3)
            return output

    model, recording = sound
    faulty = Spoiling()
    faulty.load_state_dict(model.state_dict())
    problems = {c.name: c.end_to_end.problem for c in parity.check(faulty, recording).comparisons}
    assert problems["param/second.bias"] == CHANGED
