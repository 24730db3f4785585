"""Both programs' parameters, in and out bit for bit; every wrong tensor is named."""

import pytest
import torch

from parity.recording.library import PACKAGED
from parity.recording.recording import Recording
from sharnn_py import (
    PAPER,
    SHARNN,
    Baseline,
    BaselineConfig,
    Config,
    WeightsError,
    from_julia,
    from_smerity,
    to_julia,
    to_smerity,
)
from sharnn_py.weights.shapes import parameter_shapes
from sharnn_py.weights.smerity import unused_shapes

JL = Config(vocab=11, emb=8, hidden=32, layers=4, heads=2, max_memory=12, tied=False)
SM = Config(vocab=11, emb=8, hidden=32, layers=2, max_memory=12, tied=True, semantics=PAPER)


def recorded(name):
    return Recording(name, PACKAGED / f"{name}.safetensors.xz").group("param/")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].shape == b[k].shape for k in a)


def test_julia_round_trip_loads_and_is_exact():
    theirs = recorded("sha_rnn_jl/L4_h2_untied_b2")
    ours = from_julia(theirs, JL)
    SHARNN(JL).load_state_dict(ours)
    assert same(to_julia(ours, JL), theirs)


def test_julias_lstm_vector_is_read_gate_by_gate():
    H, flat = 8, torch.arange(576.0)
    theirs = {**recorded("sha_rnn_jl/L4_h2_untied_b2"), "blocks.1.rnn.w": flat.reshape(-1, 1, 1)}
    ours = from_julia(theirs, JL)
    assert torch.equal(ours["blocks.0.rnn.weight_ih_l0"], flat[:256].reshape(4 * H, H))
    assert torch.equal(ours["blocks.0.rnn.bias_hh_l0"], flat[544:])


@pytest.mark.parametrize("layers", [1, 3])
def test_the_baselines_vector_has_all_matrices_before_all_biases(layers):
    config = BaselineConfig(vocab=5, emb=3, hidden=4, layers=layers)
    model = Baseline(config)
    theirs = to_julia(model.state_dict(), config)
    first, last = model.rnn.weight_ih_l0.flatten(), getattr(model.rnn, f"bias_hh_l{layers - 1}")
    assert torch.equal(theirs["rnn.w"].flatten()[: first.numel()], first)
    assert torch.equal(theirs["rnn.w"].flatten()[-16:], last)
    assert same(from_julia(theirs, config), dict(model.state_dict()))


def test_smerity_round_trip_keeps_what_the_program_never_uses():
    theirs = recorded("smerity/L2_h1_tied_b2")
    ours = from_smerity(theirs, SM)
    SHARNN(SM).load_state_dict(ours)
    assert same(to_smerity(ours, SM, theirs), theirs)
    unused = {name: theirs[name] for name in unused_shapes(SM)}
    assert same(to_smerity(ours, SM, unused), theirs)
    assert not unused.keys() & to_smerity(ours, SM, {}).keys()
    assert "blocks.1.lnmem.weight" in unused
    assert "blocks.0.lnmem.weight" not in unused


def test_smeritys_repeated_tied_weight_must_be_the_same():
    theirs = recorded("smerity/L2_h1_tied_b2")
    again = {**theirs, "decoder.weight": theirs["encoder.weight"].clone()}
    assert same(from_smerity(again, SM), from_smerity(theirs, SM))
    with pytest.raises(WeightsError, match="but the config says tied"):
        from_smerity({**again, "decoder.weight": again["decoder.weight"] + 1}, SM)


def test_smerity_after_vq_collapse():
    theirs = recorded("smerity/L2_h1_tied_b2")
    ours = from_smerity(theirs, SM)
    model = SHARNN(SM).eval()
    model.load_state_dict(ours)
    # What vq_collapse does: vs becomes the gain, and the over-parametrisation is dropped.
    collapsed = {k: v for k, v in theirs.items() if ".vq." not in k}
    collapsed["blocks.0.attn.vs"] = model.blocks[0].attn.value_gain().detach().reshape(1, 1, -1)
    config = Config(**{**SM.__dict__, "collapsed_values": True})
    ours = from_smerity(collapsed, config)
    after = SHARNN(config).eval()
    after.load_state_dict(ours)
    tokens = torch.arange(10).reshape(5, 2)
    assert torch.equal(after(tokens)[0], model(tokens)[0])
    assert same(to_smerity(ours, config, collapsed), collapsed)
    with pytest.raises(WeightsError, match=r"blocks\.0\.attn\.vq\.l1\.weight is missing"):
        from_smerity(collapsed, SM)


@pytest.mark.parametrize("load", [lambda t: from_julia(t, JL), lambda t: from_smerity(t, SM)], ids=["julia", "smerity"])
def test_missing_surplus_and_wrong_tensors_are_all_named(load):
    name = "sha_rnn_jl/L4_h2_untied_b2" if load.__code__.co_names[0] == "from_julia" else "smerity/L2_h1_tied_b2"
    theirs = recorded(name)
    first, second = [k for k in theirs if "lnstart" in k][:2]
    theirs["colour"] = theirs.pop(first)
    theirs[second] = torch.zeros(9)
    with pytest.raises(WeightsError) as caught:
        load(theirs)
    message = str(caught.value)
    assert f"{first} is missing, expected with shape (8,)" in message
    assert "colour (8,) is not a tensor of this model" in message
    assert f"{second} has shape (9,), expected (8,)" in message


@pytest.mark.parametrize(
    "config",
    [
        JL,
        SM,
        Config(**{**SM.__dict__, "collapsed_values": True, "attention_layers": (0, 1)}),
        Config(vocab=5, emb=4, hidden=8, layers=1),
        BaselineConfig(vocab=5, emb=3, hidden=4, layers=3),
    ],
)
def test_the_table_of_shapes_is_the_models(config):
    model = SHARNN(config) if isinstance(config, Config) else Baseline(config)
    assert parameter_shapes(config) == {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert list(model.state_dict()) == [name for name, _ in model.named_parameters()]
