"""Random rounding shows what float32 does to a computation, without any float32 kernel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from parity.arithmetic.rounding import RandomRounding
from parity.tolerance import MULTIPLE, UNIT

ULP = UNIT[torch.float32]


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rounded(function, *inputs, runs=3):
    found = []
    for seed in range(runs):
        with RandomRounding(seed):
            found.append(function(*(x.double() for x in inputs)))
    return found


def test_a_number_goes_to_one_of_its_neighbours_and_is_right_on_average():
    x = torch.full((100_000,), 1 / 3, dtype=torch.float64)
    with RandomRounding(0):
        found = x * 1.0
    low, high = found.unique().tolist()
    assert low < 1 / 3 < high
    assert torch.equal(found.float().double(), found)
    assert high - low == pytest.approx(ULP / 4)  # the unit between 1/4 and 1/2
    assert float(found.mean()) == pytest.approx(1 / 3, abs=0.01 * (high - low))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_its_own_neighbours(dtype):
    x = torch.full((10_000,), 1 / 3, dtype=torch.float64)
    with RandomRounding(0, dtype):
        found = x * 1.0
    low, high = found.unique().tolist()
    assert torch.equal(found.to(dtype).double(), found)
    assert high - low == pytest.approx(UNIT[dtype] / 4)
    assert float(found.mean()) == pytest.approx(1 / 3, abs=0.05 * (high - low))


@pytest.mark.parametrize("heads", [4, 2])
def test_attention_and_its_gradients_are_rounded_and_right(heads):
    """torch's own decomposition of its kernel gives no logarithms, from which the backward pass computes."""
    q, k, v = drawn(2, 4, 5, 8), drawn(2, heads, 5, 8, seed=1), drawn(2, heads, 5, 8, seed=2)

    def gradients(*inputs):
        inputs = [x.clone().requires_grad_() for x in inputs]
        found = F.scaled_dot_product_attention(*inputs, is_causal=True, enable_gqa=heads < 4)
        return [found.detach(), *torch.autograd.grad(found.sin().sum(), inputs)]

    truth = gradients(*(x.double() for x in (q, k, v)))
    for run in rounded(gradients, q, k, v):
        for exact, found in zip(truth, run, strict=True):
            error = float((found - exact).abs().max()) / float(exact.abs().max())
            assert ULP / 16 < error < 16 * ULP


def test_what_moves_numbers_leaves_them_as_they_are():
    x = drawn(6, 4).double()
    index = torch.tensor([2, 0, 5])
    with RandomRounding(0):
        moved = [
            torch.cat([x, x]), x.T.contiguous(), x[index], F.embedding(index, x), x.reshape(4, 6).clone(), -x,
            torch.where(x > 0, x, 0.0), x.masked_fill(x < 0, -torch.inf), x + 0, x * 2, x.roll(1, 0), F.pad(x, (1, 1)),
        ]  # fmt: skip
    for tensor in moved:
        finite = tensor[tensor.isfinite()]
        assert torch.equal(finite.float().double(), finite)
    assert torch.equal(moved[2], x[index])
    assert torch.equal(moved[8], x)


@pytest.mark.parametrize(("function", "inverse"), [(torch.exp, torch.log), (torch.tanh, torch.atanh)])
def test_what_kernels_approximate_may_miss_a_number_that_float32_holds(function, inverse):
    """As in a softmax that is nearly sure, of which the gradient has what is missing to 1."""
    exact = torch.linspace(0.9, 0.999, 1000).double()
    x = inverse(exact)
    runs = rounded(function, x)
    for found in runs:
        error = (found - exact).abs() / ULP
        assert 0.2 < float((error > 0).double().mean()) < 0.9
        assert float(error.max()) <= 1.5
    with RandomRounding(0):
        assert torch.equal(torch.exp(torch.tensor([0.0, -torch.inf]).double())[1:], torch.zeros(1).double())
        assert torch.equal(torch.tanh(torch.zeros(3).double()), torch.zeros(3).double())


def test_a_seed_is_a_run():
    x = drawn(8, 8).double()
    runs = []
    for seed in (1, 1, 2):
        with RandomRounding(seed):
            runs.append(torch.softmax(x @ x, -1))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch.softmax(x @ x, -1), torch.softmax(x @ x, -1))  # and it is over


def test_what_is_done_in_place_is_rounded_too():
    x = torch.full((10,), 1 / 3, dtype=torch.float64)
    y = [x.clone(), x.clone()]
    with RandomRounding(0):
        x.add_(1e-9)
        torch._foreach_add_(y, 1e-9)
    for tensor in (x, *y):
        assert torch.equal(tensor.float().double(), tensor)


def recurrent(layer):
    single, double = layer, type(layer)(layer.input_size, layer.hidden_size).double()
    double.load_state_dict(layer.state_dict())
    return lambda x: (single if x.dtype == torch.float32 else double)(x)[0].detach()


def gradient(x):
    x = x.clone().requires_grad_()
    F.layer_norm(x, x.shape[-1:]).softmax(-1).square().sum().backward()
    return x.grad


COMPUTATIONS = {
    "product": (torch.matmul, drawn(32, 64), drawn(64, 32)),
    "wide product": (torch.matmul, drawn(32, 4096), drawn(4096, 32)),
    "positive product": (torch.matmul, drawn(32, 1024).abs(), drawn(1024, 32).abs()),
    "linear": (F.linear, drawn(8, 5, 64), drawn(16, 64), drawn(16)),
    "layer norm": (lambda x: F.layer_norm(x, x.shape[-1:]), drawn(64, 1024) + 3),
    "deviation": (lambda x: x.std(-1), drawn(64, 256) + 10),
    "softmax": (lambda x: torch.softmax(x, -1), 5 * drawn(64, 512)),
    "loss": (lambda x: F.cross_entropy(x, torch.arange(64), reduction="none"), 5 * drawn(64, 512)),
    "norm": (torch.linalg.vector_norm, drawn(64, 512)),
    "attention": (
        F.scaled_dot_product_attention,
        drawn(2, 4, 16, 64),
        drawn(2, 4, 16, 64, seed=1),
        drawn(2, 4, 16, 64),
    ),
    "convolution": (F.conv1d, drawn(2, 16, 50), drawn(32, 16, 5)),
    "LSTM": (recurrent(nn.LSTM(32, 64)), drawn(10, 4, 32)),
    "GRU": (recurrent(nn.GRU(32, 64)), drawn(10, 4, 32)),
    "gradient": (gradient, drawn(16, 64)),
}


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_it_shows_about_what_float32_does(name):
    """Torch's own float32 is within a quarter of the tolerance, and not a hundredth of it."""
    function, *inputs = COMPUTATIONS[name]
    truth = function(*(x.double() for x in inputs))
    shown = max(float((run - truth).abs().max()) for run in rounded(function, *inputs))
    own = float((function(*inputs).double() - truth).abs().max())
    assert own <= MULTIPLE * shown / 4
    assert shown <= 100 * own
