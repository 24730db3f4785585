"""Exports whose blocks' weights have 8 or 4 bits: what is stored, what both graphs compute, and that it is checked."""

import numpy as np
import onnx
import pytest
import torch

import export.check
import export.exporter
from export import Session
from export.check import check_export
from export.graph import small_weights
from export.graph.small_weights import BITS, Blocks, block_size, quantise, weights_of
from export.manifest import Manifest
from export.placement import unplaceable
from export.rounded import round_activations, round_weights
from sharnn_py import TorchSession
from tests.export.conftest import trained_looking


@pytest.fixture(params=BITS)
def weights(request):
    return request.param


@pytest.mark.parametrize("width", [1, 12, 20, 192, 1024])
def test_every_number_is_within_half_a_step_of_its_block(weights, width):
    weight = np.random.default_rng(width).standard_normal((width, 6))
    weight[:, 2] = 0.0
    blocks = quantise(weight, BITS[weights], "float32")
    size = block_size(width, BITS[weights])
    each = np.abs(np.repeat(blocks.scales, size, axis=1)[:, :width].T)
    error = np.abs(blocks.dequantised(width) - weight)
    if weights == "int8":
        assert (error <= each * 0.5000001).all()
    else:  # the furthest may have been cut short
        assert np.mean(error <= each * 0.5000001) > 0.85
        assert np.square(error).sum() < np.square(weight).sum() / 100
    assert not blocks.dequantised(width)[:, 2].any()
    assert blocks.numbers.dtype == np.uint8
    assert blocks.numbers.shape == (6, -(-width // size), size * BITS[weights] // 8)


def test_scales_are_chosen_so_that_four_bits_lose_less_than_by_the_largest_number():
    weight = np.random.default_rng(0).standard_normal((1024, 64))
    blocks = quantise(weight, 4, "float32")
    rows = weight.T.reshape(64, -1, 128)
    plain = np.abs(rows).max(-1, keepdims=True) / 7
    by_largest = np.square(np.rint(rows / plain) * plain - rows).sum()
    assert np.square(blocks.dequantised(1024) - weight).sum() < 0.75 * by_largest


def test_scales_that_float16_rounds_are_those_that_the_numbers_are_rounded_by():
    weight = np.random.default_rng(0).standard_normal((128, 8)) * 1e-5
    blocks = quantise(weight, 8, "float16")
    assert blocks.scales.dtype == np.float16
    np.testing.assert_allclose(blocks.dequantised(128), weight, atol=np.abs(weight).max() / 50)


def test_halves_of_a_byte_are_the_numbers_in_their_order():
    blocks = Blocks(4, np.array([[[0x21, 0xF0]]], np.uint8), np.array([[2.0]], np.float32))
    assert blocks.dequantised(4).ravel().tolist() == [2 * (1 - 8), 2 * (2 - 8), 2 * (0 - 8), 2 * (15 - 8)]
    assert blocks.dequantised(3).shape == (3, 1)


def test_blocks_are_padded_as_little_as_can_be():
    widths = (1, 16, 17, 64, 192, 200, 256, 1024)
    assert [block_size(width, 8) for width in widths] == [16, 16, 32, 64, 64, 32, 256, 256]
    assert [block_size(width, 4) for width in widths] == [16, 16, 32, 64, 64, 32, 128, 128]


def graph(folder, name):
    return onnx.load(str(folder / f"{name}.onnx"), load_external_data=False)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_every_product_of_a_block_is_small_and_every_node_has_a_cuda_kernel(export_of, config, weights, precision):
    _, folder = export_of(config, {"weights": weights, "precision": precision})
    attending = len(config.attention_layers)
    for name, products in (("segment", config.layers), ("step", 3 * config.layers)):
        nodes = graph(folder, name).graph.node
        assert unplaceable(graph(folder, name)) == []
        assert sum(node.op_type == "MatMulNBits" for node in nodes) == products + attending
        assert not any(node.op_type == "Gemm" for node in nodes)
    stored = {at["name"] for entry in Manifest.load(folder).graphs.values() for at in entry["weights"]}
    assert weights_of(stored) == weights
    assert f"blocks.0.rnn.W.{weights}.numbers" in stored
    assert "blocks.0.rnn.W" not in stored


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_segments_and_steps_compute_what_the_rounded_model_does(export_of, config, weights, precision):
    """Activations of 8 bits are all that is between them, and a segment's LSTM has none."""
    model, folder = export_of(config, {"weights": weights, "precision": precision}, layers=1, attention_layers=())
    ours, theirs = Session.load(folder), TorchSession(round_weights(model, weights, precision).float())
    tokens = np.random.default_rng(0).integers(config.vocab, size=(9, 3))
    for session in (ours, theirs):
        session.reset(3)
    share = []
    for compute in (lambda s: s.prefill(tokens), lambda s: s.step(tokens[0])):
        truth = compute(theirs)
        share.append(np.sqrt(np.square(compute(ours) - truth).mean() / np.square(truth).mean()))
    assert max(share) < 0.02


def test_a_lstm_of_a_segment_has_the_whole_weights_that_the_numbers_stand_for(export_of, config, weights):
    """Exactly: its state is nearer to that of the rounded model than any rounding of activations would leave it."""
    model, folder = export_of(config, {"weights": weights}, layers=1, attention_layers=())
    ours, theirs = Session.load(folder), TorchSession(round_weights(model, weights, "float32").float())
    tokens = np.random.default_rng(0).integers(config.vocab, size=(9, 1))
    ours.prefill(tokens)
    theirs.prefill(tokens)
    h, c, _ = ours.state()[0]
    np.testing.assert_allclose(h, theirs.state.layers[0].h.numpy(), rtol=0, atol=3e-6)
    np.testing.assert_allclose(c, theirs.state.layers[0].c.numpy(), rtol=0, atol=3e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("config", "weights", "precision"), [
    ("julia", "int8", "float32"), ("paper", "int4", "float32"), ("paper", "int8", "float16"),
    ("julia", "int4", "float16"),
], indirect=["config", "weights"])  # fmt: skip
def test_a_right_export_passes_its_check(export_of, config, weights, precision):
    _, folder = export_of(config, {"weights": weights, "precision": precision, "check": True}, golden=True)
    rows = Manifest.load(folder).check["rows"]
    assert {row["graph"] for row in rows} == {"segment", "step"}
    steps = [row for row in rows if row["graph"] == "step"]
    if precision == "float32":  # the runs round their activations as the products do, so these err as much
        factor = export.check.MULTIPLE * export.check.KNOWN
        assert all(0.5 < row["rms"] * factor / row["allowed_rms"] < 2 for row in steps)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["rnn.W", "rnn.R", "boom.weight"])
def test_numbers_of_another_scale_are_found(export_of, config, weights, part, monkeypatch):
    real = small_weights.quantise_blocks

    def wrong(folded, *how):
        stored = real(folded, *how)
        stored[f"blocks.0.{part}.{weights}.scales"][::3] *= 1.5
        return stored

    monkeypatch.setattr(export.exporter, "quantise_blocks", wrong)
    _, folder = export_of(config, {"weights": weights}, layers=1, attention_layers=(0,))
    assert not check_export(folder).passed


def test_activations_are_rounded_by_blocks_and_rows_each_by_their_own_largest(config):
    model = trained_looking(config).double()
    round_activations(model, "int8")
    seen = []
    model.blocks[0].boom.linear.register_forward_pre_hook(lambda layer, entering: seen.append(entering[0]))
    x = torch.randn(4, config.emb, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[1] = 0.0
    model.blocks[0].boom.linear(x)
    steps = seen[0] / (x.abs().amax(-1, keepdim=True) / 127)
    assert torch.equal(seen[0][1], torch.zeros(config.emb, dtype=torch.float64))
    torch.testing.assert_close(steps[[0, 2, 3]], steps[[0, 2, 3]].round(), rtol=0, atol=1e-9)
    torch.testing.assert_close(seen[0].abs().amax(-1), x.abs().amax(-1))


def test_sequences_of_a_batch_do_not_influence_each_other(export_of, config, weights):
    _, folder = export_of(config, {"weights": weights})
    together, alone = Session.load(folder), Session.load(folder)
    together.reset(3)
    for number in range(6):
        tokens = np.random.default_rng(number).integers(config.vocab, size=3)
        np.testing.assert_allclose(alone.step(tokens[1:2])[0], together.step(tokens)[1], rtol=1e-5, atol=1e-5)
