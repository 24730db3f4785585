"""A subject cannot buy its tolerance: chance and lost digits are failures of their own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import parity


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
