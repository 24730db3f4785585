"""The other way to ONNX, `torch.onnx.export` of the PyTorch model itself, gives what the written graph gives.

The two share no code: there every operator is translated by PyTorch, and nothing is folded. Left to itself it freezes
the LSTM's T, so the LSTM is an operator of its own with a translation.
"""

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch
from onnxscript import opset18
from torch import nn

from export import export_checkpoint
from export.serving.mask import Segment
from sharnn_py import save_checkpoint
from tests.export.conftest import trained_looking

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # within torch.onnx and onnxscript
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@torch.library.custom_op("sharnn_tests::lstm", mutates_args=())
def lstm(
    x: torch.Tensor, W: torch.Tensor, R: torch.Tensor, b: torch.Tensor, h: torch.Tensor, c: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(T, B, H), torch's parameters -> (T, B, H), (1, B, H) twice."""
    y, h, c = torch.lstm(x, (h, c), [W, R, *b.chunk(2)], True, 1, 0.0, False, False, False)
    return y, h.clone(), c.clone()


@lstm.register_fake
def _(x, W, R, b, h, c):
    return torch.empty_like(x), torch.empty_like(h), torch.empty_like(c)


def lstm_in_onnx(x, W, R, b, h, c):
    """ONNX's gates are i o f c, torch's i f g o."""
    axis = opset18.Constant(value_ints=[0])
    parts = []
    for value in (W, R):
        i, f, g, o = opset18.Split(value, axis=0, num_outputs=4)
        parts.append(opset18.Unsqueeze(opset18.Concat(i, o, f, g, axis=0), axis))
    eight = opset18.Split(b, axis=0, num_outputs=8)
    bias = opset18.Concat(*[eight[k] for k in (0, 3, 1, 2, 4, 7, 5, 6)], axis=0)
    width = R.shape[1]
    y, h, c = opset18.LSTM(x, *parts, opset18.Unsqueeze(bias, axis), None, h, c, hidden_size=width)
    return opset18.Squeeze(y, opset18.Constant(value_ints=[1])), h, c


class Flat(nn.Module):
    """The model's own layers, its state as flat tensors and its mask as an input."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens, mask, *state):
        model, state = self.model, list(state)
        x, carried = model.encoder(tokens), []
        for block in model.blocks:
            rnn, h, c = block.rnn, state.pop(0), state.pop(0)
            bias = torch.cat([rnn.bias_ih_l0, rnn.bias_hh_l0])
            x, h, c = torch.ops.sharnn_tests.lstm(
                block.lnstart(x), rnn.weight_ih_l0, rnn.weight_hh_l0, bias, h[None], c[None]
            )
            carried += [h[0], c[0]]
            if block.attn is not None:
                keys = torch.cat([state.pop(0), block.lnmem(x)])
                carried.append(keys[-model.config.max_memory :])
                x = block.lnmid(x)
                x = x + block.attn(x, keys, mask)
            x = block.lnff(x) + block.boom(block.lnxff(x))
        return model.decoder(x, model.encoder.weight) if model.config.tied else model.decoder(x), *carried


def inputs(config, steps, batch, rows, seed=0):
    draw = np.random.default_rng(seed)
    state = {}
    for i in range(config.layers):
        for part in ("h", "c"):
            state[f"layers.{i}.{part}"] = draw.uniform(-0.9, 0.9, (batch, config.emb)).astype(np.float32)
        if config.attends(i):
            state[f"layers.{i}.memory"] = draw.standard_normal((rows, batch, config.emb)).astype(np.float32)
    tokens = draw.integers(config.vocab, size=(steps, batch))
    return {"tokens": tokens, "mask": Segment(config, rows, steps).mask(), **state}


@pytest.fixture(scope="module")
def model(config):
    """A block that attends and one that does not are all that there is; a third would take a second more."""
    return trained_looking(dataclasses.replace(config, layers=2, attention_layers=(1,)))


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    save_checkpoint(model, folder / "checkpoint")
    export_checkpoint(folder / "checkpoint", folder / "export")
    return onnxruntime.InferenceSession(str(folder / "export" / "segment.onnx"), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def translated(model, tmp_path_factory):
    feeds = inputs(model.config, 5, 3, 4)
    free = torch.export.Dim.DYNAMIC
    state = tuple({0: free, 1: free} if name.endswith("memory") else {0: free} for name in list(feeds)[2:])
    shapes = {"tokens": {0: free, 1: free}, "mask": {0: free, 1: free}, "state": state}
    path = tmp_path_factory.mktemp("route") / "translated.onnx"
    torch.onnx.export(
        Flat(model).eval(),
        tuple(torch.from_numpy(array) for array in feeds.values()),
        str(path),
        dynamo=True,
        opset_version=18,
        input_names=list(feeds),
        dynamic_shapes=shapes,
        custom_translation_table={
            torch.ops.sharnn_tests.lstm.default: lstm_in_onnx,
            torch._sym_sqrt: opset18.Sqrt,  # of T, julia's scale, which PyTorch has no translation for
        },
        verbose=False,
    )
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("steps", "batch", "rows"), [(5, 3, 4), (1, 1, 6), (9, 2, 3), (6, 1, 1), (2, 4, 5)])
def test_both_ways_to_onnx_give_the_same(translated, written, model, steps, batch, rows):
    feeds = inputs(model.config, steps, batch, rows, seed=1)
    theirs = translated.run(None, feeds)
    if model.config.semantics.attention_scale == "julia":
        feeds["attention_scale"] = np.array(1 / np.sqrt(steps), np.float32)
    state = [f"{name}.next" for name in feeds if name.startswith("layers.")]
    ours = written.run(["logits", *state], feeds)
    assert len(ours) == len(theirs) == 1 + 2 * 2 + 1
    for name, a, b in zip(["logits", *state], ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5, err_msg=name)
