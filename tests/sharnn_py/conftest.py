"""Small models of both semantics."""

import pytest
import torch

from sharnn_py import JULIA, PAPER, SHARNN, Config

SIZES = dict(vocab=11, emb=8, hidden=24, layers=3, heads=2, max_memory=6)


@pytest.fixture(params=["julia", "paper"])
def semantics(request):
    return {"julia": JULIA, "paper": PAPER}[request.param]


@pytest.fixture
def config(semantics):
    return Config(**SIZES, semantics=semantics)


@pytest.fixture
def model(config):
    """A model in evaluation mode, with every parameter away from its special initial value."""
    model = SHARNN(config, torch.Generator().manual_seed(1)).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


@pytest.fixture
def tokens():
    return torch.randint(0, 11, (9, 3), generator=torch.Generator().manual_seed(3))
