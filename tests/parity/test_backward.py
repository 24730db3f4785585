"""A wrong gradient is traced to the layer whose backward path is wrong, by name and with what is wrong about it."""

from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import parity
import sharnn_py.layers as layers
import sharnn_py.model as model
from parity import run_case
from parity.judge.backward import backward_faults
from parity.subject.gradient_probe import GradientProbe
from tests.parity.cut_short import as_far_as

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rounded_run")]

JULIA, PAPER = "sha_rnn_jl/L4_h1_tied_b2", "smerity/L4_h1_tied_b2"
gelu, cat = layers.gelu, torch.cat


def case(name):
    return run_case(as_far_as(name, 2, updates=True))


def scaled(x, by):
    """x, with `by` times its gradient."""
    return by * x - ((by - 1) * x).detach()


FAULTS = [
    (
        mock.patch.object(
            torch, "cat", lambda tensors, *args, **named: cat([t.detach() for t in tensors], *args, **named)
        ),
        "no gradient goes from",
        {JULIA: ["backward/1/blocks.3.bigh"], PAPER: ["backward/1/blocks.2.keys (of the port)"]},
    ),
    (
        mock.patch.object(
            model.TiedDecoder, "forward", lambda self, h, embedding: F.linear(h, embedding.detach(), self.bias)
        ),
        "back to parameter encoder.weight",
        {JULIA: ["backward/1/logits"], PAPER: ["backward/1/logits"]},
    ),
    (
        mock.patch.object(layers, "gelu", lambda x: scaled(gelu(x), 2)),
        "2 times as large",
        {
            JULIA: [f"backward/1/blocks.{i}.boom_gelu" for i in (4, 3, 2, 1)],
            PAPER: [f"backward/1/blocks.{i}.ff.act" for i in (3, 2, 1, 0)],
        },
    ),
]


@pytest.mark.parametrize("name", [JULIA, PAPER])
@pytest.mark.parametrize(("patch", "description", "expected"), FAULTS, ids=["keys", "tied decoder", "gelu"])
def test_a_wrong_backward_path_is_named_and_all_gradients_after_it_inherit(name, patch, description, expected):
    with patch:
        result = case(name)
    assert [c.name for c in result.wrong] == expected[name]
    assert description in result.first.hints[0].description
    assert all(c.name.startswith(("grad", "train/", "loop/")) for c in result.inherited)
    assert any(c.name.startswith("grad/1/") for c in result.inherited)
    position = result.comparisons.index(result.first)
    assert all(c.agrees for c in result.comparisons[:position])


def test_a_state_that_is_not_detached_is_the_fault_and_the_next_gradients_inherit():
    forward = model.Block.forward

    def attached(self, h, state, note):
        seen = {}

        def both(name, tensor):
            seen[name] = note(name, tensor)
            return seen[name]

        h, after = forward(self, h, state, both)
        return h, model.LayerState(seen["h"], after.c, after.memory)

    with mock.patch.object(model.Block, "forward", attached):
        result = case(JULIA)
    assert result.first.name == "carry/1/blocks.1.h"
    assert "does not detach" in result.first.hints[0].description
    assert {c.name.split("/")[0] for c in result.wrong} == {"carry"}
    assert any(c.name.startswith("grad/2/") for c in result.inherited)
    assert not any(c.name.startswith("grad/1/") for c in result.inherited)


class Middle(nn.Module):
    """Three layers, with something between the second and the third."""

    def __init__(self, on_the_way):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2)
        self.on_the_way = on_the_way

    def forward(self, x):
        return self.last(self.on_the_way(self.norm(torch.tanh(self.first(x)))))


@pytest.mark.parametrize(
    ("on_the_way", "wrong"),
    [
        (lambda x: x, []),
        (torch.Tensor.detach, [("last.in", "norm", "no gradient goes from last.in back to norm")]),
        (lambda x: scaled(x, -0.5), [("last.in", "norm", "-0.5 times as large")]),
    ],
    ids=["right", "detached", "scaled"],
)
def test_any_module(on_the_way, wrong):
    torch.manual_seed(0)
    subject, x = Middle(lambda x: x * 1.0), torch.randn(5, 3, 4)
    recording = parity.capture(subject, x, loss=lambda out: out.square().mean())
    without = {name: t for name, t in recording.tensors.items() if not name.startswith("agrad/")}
    recording = parity.recording_of(without, implementation="torch")
    subject.on_the_way = lambda x: on_the_way(x * 1.0)
    result = parity.check(subject, recording, loss=lambda out: out.square().mean())
    assert bool(result) == (not wrong)
    assert [c.name for c in result.wrong] == [f"backward/1/{to}" for to, _, _ in wrong]
    for c, (_, _, description) in zip(result.wrong, wrong, strict=True):
        assert description in c.hints[0].description


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e5])
@pytest.mark.parametrize("seed", [0, 1, 15, 27])
@pytest.mark.parametrize("detached", [False, True])
def test_what_is_right_is_left_alone_whatever_its_size(detached, seed, scale):
    """Small and large numbers, saturated gates, and a LayerNorm that divides by little, or by next to nothing where
    all gates of a row are shut: no false alarm, and a true one at each size.
    """
    torch.manual_seed(seed)
    linear, norm = nn.Linear(8, 8).double(), nn.LayerNorm(8).double()
    x = scale * torch.randn(6, 8, dtype=torch.float64)

    def loss(note):
        h = note("linear", linear(x))
        gate = note("gate", torch.sigmoid(h) * h)
        return note("norm", norm(gate.detach() if detached else gate)).square().sum()

    parameters = {f"{kind}.{n}": p for kind, layer in (("l", linear), ("n", norm)) for n, p in layer.named_parameters()}
    faults = backward_faults(GradientProbe(loss, parameters, lambda name, tensor: tensor.detach(), str))
    assert [(fault.to, fault.source) for fault in faults] == ([("norm", "gate")] if detached else [])


def test_a_recorded_gradient_that_never_comes_back_is_a_finding():
    with mock.patch.object(layers, "gelu", lambda x: gelu(x).detach()):
        result = case("smerity/jl_L2_h2_untied_b3")
    assert result.first.name == "backward/1/blocks.1.ff.act"
    cut = next(c for c in result.comparisons if c.name == "agrad/1/blocks.1.ff.linear1")
    assert cut.verdict == "inherited"
    assert "none arrived" in cut.where
    assert cut.end_to_end.worst.port == 0
