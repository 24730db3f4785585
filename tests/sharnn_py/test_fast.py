"""The fast blocks against the plain ones: what they compute, their gradients, and what stays as it was.

In float64 both compute the same numbers but for the order of sums: relative 1e-12 is some thousand roundings. In
float32 each may be as far from the float64 truth as twice what torch's own operations are.
"""

import copy

import pytest
import torch
from torch import nn

from sharnn_py import JULIA, PAPER, SHARNN, Baseline, BaselineConfig, Config, State, nll, paper_lamb
from sharnn_py.fast import accelerated, onednn_lstm, plain
from sharnn_py.fast.accelerated import FastBlock
from sharnn_py.fast.lstm import _LSTM
from sharnn_py.model import Block

BF16 = 0.02
"""Of the relative error of gradients with bfloat16 products: a rounding is 2 ** -9, or 0.002, and a gradient passes
through a dozen products."""


def run(model, tokens, targets, state=None):
    """Everything that a training step computes: loss, logits, state, gradients."""
    model.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    logits, after = model(tokens, state)
    loss = nll(logits, targets)
    loss.backward()
    found = {"loss": loss.detach(), "logits": logits.detach()}
    for i, layer in enumerate(after.layers):
        found |= {f"layers.{i}.{name}": t for name, t in zip("hcm", layer.tensors(), strict=True)}
    return found | {name: p.grad for name, p in model.named_parameters()}


def distance(found, truth):
    """The relative distance of each tensor, in the Euclidean norm."""
    return {
        name: ((found[name].double() - truth[name].double()).norm() / (truth[name].double().norm() + 1e-30)).item()
        for name in truth
        if truth[name].numel()
    }


def sizes(**others):
    return dict(vocab=11, emb=16, hidden=48, layers=3, max_memory=6, attention_layers=(0, 1)) | others


CONFIGS = {
    "julia": Config(**sizes(), semantics=JULIA),
    "paper": Config(**sizes(), semantics=PAPER),
    "heads": Config(**sizes(heads=4), semantics=PAPER),
    "hidden features left over": Config(**sizes(hidden=57), semantics=PAPER),
    "collapsed values": Config(**sizes(collapsed_values=True), semantics=PAPER),
    "dropout": Config(**sizes(heads=2, dropout_hidden=0.2, dropout_embedding=0.1, dropout_output=0.1), semantics=PAPER),
    "dropout, julia": Config(**sizes(dropout_hidden=0.2), semantics=JULIA),
}


def moved_model(config):
    """A model with every parameter away from its special initial value."""
    model = SHARNN(config, torch.Generator().manual_seed(1))
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.5)
    return model


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.fixture
def model(config):
    return moved_model(config)


@pytest.fixture
def segments():
    tokens = torch.randint(0, 11, (3, 10, 3), generator=torch.Generator().manual_seed(3))
    return [(segment[:-1], segment[1:]) for segment in tokens]


def compared(model, precision, segments):
    """The steps of a model and of its accelerated self, over segments with carried state, each from the plain state."""
    state, fast = None, accelerated(copy.deepcopy(model), precision)
    for tokens, targets in segments:
        yield run(fast, tokens, targets, state), run(model, tokens, targets, state)
        with torch.no_grad():
            state = model(tokens, state)[1]


def test_everything_is_the_same_in_float64(model, segments):
    for found, expected in compared(model.double(), "float32", segments):
        assert found.keys() == expected.keys()
        for name, off in distance(found, expected).items():
            # The gradient of a bias before a softmax, or of a tensor that nothing depends on, is rounding alone.
            assert off < 1e-12 or expected[name].abs().max() < 1e-15, (name, off)


def test_float32_is_as_near_the_truth_as_torch_is(model, segments):
    truth = list(compared(copy.deepcopy(model).double(), "float32", segments))
    for (found, expected), (_, exact) in zip(compared(model, "float32", segments), truth, strict=True):
        ours, torchs = (torch.tensor(list(distance(what, exact).values())) for what in (found, expected))
        ratio = (ours / torchs.clamp(min=1e-7)).clamp(min=0.1)
        assert ratio.log().mean().exp() <= 2  # which of two rounds one tensor better is chance
        assert ratio.max() <= 16


@pytest.mark.parametrize("native", [True, False], ids=["oneDNN", "own"])
def test_bf16_is_a_rounding_away(model, segments, native, monkeypatch):
    if not native:
        monkeypatch.setattr(onednn_lstm, "is_right", lambda *sizes: False)
    for found, expected in compared(model, "bf16", segments):
        off = distance(found, expected)
        total = torch.stack([expected[name].norm() for name, _ in model.named_parameters()]).norm()
        error = torch.stack([(found[name] - expected[name]).norm() for name, _ in model.named_parameters()]).norm()
        assert off["logits"] < BF16
        assert 1e-4 < error / total < BF16, "0 would mean that nothing was in bfloat16"
        assert all(value.dtype == torch.float32 for value in found.values())


def test_bf16_leaves_evaluation_alone(model, segments):
    model.eval()
    for found, expected in compared(model, "bf16", segments):
        assert max(distance({"logits": found["logits"]}, {"logits": expected["logits"]}).values()) < 1e-5


def test_the_same_step_gives_the_same_bits(model, segments):
    for precision in ("float32", "bf16"):
        fast = accelerated(model, precision)
        once, again = (run(fast, *segments[0]) for _ in range(2))
        assert all(torch.equal(once[name], again[name]) for name in once)


def test_the_own_lstm_differentiates_itself():
    """In float64, against finite differences: every input, every output."""
    draw = torch.Generator().manual_seed(0)
    shapes = [(4, 2, 3), (2, 5), (2, 5), (20, 3), (20, 5), (20,), (20,)]
    inputs = [torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in shapes]
    assert torch.autograd.gradcheck(lambda *tensors: _LSTM.apply(*tensors, "float32"), inputs)


def test_the_own_lstm_is_torchs_in_float64():
    layer, draw = nn.LSTM(3, 5).double(), torch.Generator().manual_seed(0)
    x, h, c = (torch.randn(s, generator=draw, dtype=torch.float64) for s in [(7, 2, 3), (2, 5), (2, 5)])
    out, (h_n, c_n) = layer(x, (h[None], c[None]))
    found = _LSTM.apply(x, h, c, *layer.parameters(), "float32")
    for ours, torchs in zip(found, (out, h_n[0], c_n[0]), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-14)


def test_the_weights_gradients_are_one_product_each(monkeypatch):
    """Not one for each step, whose sums are what a backward pass through an unrolled LSTM spends itself on."""
    monkeypatch.setattr(onednn_lstm, "is_right", lambda *sizes: False)
    model = accelerated(moved_model(CONFIGS["paper"]), "bf16")
    loss = nll(model(torch.zeros(40, 3, dtype=torch.int64))[0], torch.zeros(40, 3, dtype=torch.int64))
    with torch.profiler.profile(record_shapes=True) as profile:
        loss.backward()
    weight = model.blocks[0].rnn.weight_hh_l0.shape
    made = [
        event
        for event in profile.events()
        if event.name == "aten::mm" and [event.input_shapes[0][0], event.input_shapes[1][1]] == list(weight)
    ]
    assert len(made) == 2 * len(model.blocks)  # of the input's weight and of the state's, both (4H, H)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_cell_that_hardly_forgets_decays_all_the_same(precision):
    """In a bfloat16 state it would not: 0.0005 of it is less than half of its last bit."""
    model = accelerated(SHARNN(Config(vocab=3, emb=8, hidden=8, layers=1, semantics=PAPER)), precision)
    rnn = model.blocks[0].rnn
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.zero_()
        rnn.bias_ih_l0[8:16] = 7.6
    start = State.zeros(model.config, 2)
    for layer in start.layers:
        layer.c.fill_(1.0)
    _, after = model(torch.zeros(1000, 2, dtype=torch.int64), start)
    kept = torch.sigmoid(torch.tensor(7.6, dtype=torch.float64)) ** 1000  # 0.606
    assert after.layers[0].c.double() == pytest.approx(torch.full((2, 8), kept), rel=1e-3)


def test_a_wrong_gradient_of_onednn_is_noticed(monkeypatch):
    def wrong(x, *others):
        return _LSTM.apply(x + 0.1 * (x - x.detach()), *others, "float32")

    monkeypatch.setattr(onednn_lstm, "lstm", wrong)
    assert not onednn_lstm.is_right.__wrapped__(16, 16, 3)


def test_a_missing_operation_is_noticed(monkeypatch):
    def missing(*arguments):
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(onednn_lstm, "lstm", missing)
    assert not onednn_lstm.is_right.__wrapped__(16, 16, 3)


def test_looking_for_onednn_draws_nothing():
    before = torch.get_rng_state()
    onednn_lstm.is_right.__wrapped__(16, 16, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_parameters_stay_the_same_objects():
    model = moved_model(CONFIGS["paper"])
    before = dict(model.named_parameters())
    names = list(model.state_dict())
    assert accelerated(model) is model
    assert all(isinstance(block, FastBlock) for block in model.blocks)
    assert list(model.state_dict()) == names
    assert all(p is before[name] for name, p in model.named_parameters())
    assert plain(model) is model
    assert all(type(block) is Block for block in model.blocks)
    assert all(p is before[name] for name, p in model.named_parameters())


def test_the_mode_is_kept():
    model = moved_model(CONFIGS["dropout"]).eval()
    assert not any(module.training for module in accelerated(model).modules())
    assert all(module.training for module in plain(model.train()).modules())


def test_accelerating_again_sets_the_precision():
    model = accelerated(accelerated(moved_model(CONFIGS["paper"])), "bf16")
    assert {block.precision for block in model.blocks} == {"bf16"}
    assert all(type(block) is Block for block in plain(model).blocks)


def test_a_note_sees_and_replaces_what_it_does_in_the_plain_model(segments):
    model, seen = moved_model(CONFIGS["paper"]), [{}, {}]
    for names in seen:
        model(segments[0][0], note=names.__setitem__)
        accelerated(model, "bf16")
    assert list(seen[0]) == list(seen[1])
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])
    halved = [
        m(segments[0][0], note=lambda name, t: t / 2 if name == "blocks.1.attn.qk" else None)[0]
        for m in (model, plain(model))
    ]
    assert torch.equal(*halved)


def test_a_memory_that_wants_its_gradient_gets_it(segments):
    model, gradients = moved_model(CONFIGS["paper"]), []
    for _ in range(2):
        _, state = model(segments[0][0])
        memory = state.layers[1].memory.requires_grad_()
        model(segments[1][0], state)[0].square().sum().backward()
        gradients.append(memory.grad)
        accelerated(model)
    torch.testing.assert_close(*gradients)


def test_training_goes_the_same_way(segments):
    """Ten updates: an optimiser made before the blocks were exchanged goes on with them."""
    losses = []
    for change in (plain, accelerated):
        model = moved_model(CONFIGS["paper"]).double()
        optimizer = paper_lamb(model, lr=1e-2)
        change(model)
        for step in range(10):
            found = run(model, *segments[step % 3])
            optimizer.step()
        losses.append(found["loss"].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize("native", [True, False], ids=["oneDNN", "own"])
def test_a_baseline_has_a_fast_lstm_too(segments, native, monkeypatch):
    if not native:
        monkeypatch.setattr(onednn_lstm, "is_right", lambda *sizes: False)
    model = Baseline(
        BaselineConfig(vocab=11, emb=8, hidden=16, layers=2, dropout=0.2), torch.Generator().manual_seed(0)
    )
    names, before = list(model.state_dict()), dict(model.named_parameters())
    found = []
    for change in (plain, lambda m: accelerated(m, "bf16"), lambda m: accelerated(m, "float32"), plain):
        change(model)
        assert list(model.state_dict()) == names
        assert all(p is before[name] for name, p in model.named_parameters())
        model.zero_grad()
        torch.manual_seed(0)
        logits, state = model(segments[0][0])
        logits.square().sum().backward()
        found.append([logits.detach(), *state, *(p.grad for p in model.parameters())])
    for torchs, bf16, float32, again in zip(*found, strict=True):
        assert 0 < (bf16 - torchs).norm() < BF16 * torchs.norm()
        assert torch.equal(float32, torchs)
        assert torch.equal(again, torchs)
    assert type(model.rnn) is nn.LSTM
    evaluated = [change(model.eval())(segments[0][0])[0] for change in (plain, lambda m: accelerated(m, "bf16"))]
    assert torch.equal(*evaluated)
