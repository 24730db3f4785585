"""References from elsewhere: ONNX graphs, NumPy's files, Flax and Keras models, Julia functions and packages."""

import numpy as np
import pytest
import torch
from torch import nn

import parity
from parity import UsageError

pytestmark = pytest.mark.slow


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.up, self.norm, self.down = nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x):
        return self.down(self.norm(torch.tanh(self.up(x))))


@pytest.fixture
def graph():
    """The same as an ONNX graph."""
    helper = pytest.importorskip("onnx.helper", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime, which runs the graph, is not installed")
    from onnx import TensorProto, numpy_helper

    net = Net()
    nodes = [
        helper.make_node("Gemm", ["x", "up.weight", "up.bias"], ["hidden"], transB=1),
        helper.make_node("Tanh", ["hidden"], ["bounded"]),
        helper.make_node("LayerNormalization", ["bounded", "norm.weight", "norm.bias"], ["normed"], epsilon=1e-5),
        helper.make_node("Gemm", ["normed", "down.weight", "down.bias"], ["scores"], transB=1),
    ]
    initial = [numpy_helper.from_array(t.numpy(), name) for name, t in net.state_dict().items()]
    of = helper.make_tensor_value_info
    x, y = of("x", TensorProto.FLOAT, ["batch", 4]), of("scores", TensorProto.FLOAT, ["batch", 3])
    made = helper.make_graph(nodes, "net", [x], [y], initial)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


NAMES = {"up": "hidden", "norm.in": "bounded", "norm": "normed", "down": "scores"}


def test_every_node_of_an_onnx_graph_is_recorded(graph, tmp_path):
    import onnx

    onnx.save(graph, tmp_path / "net.onnx")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    for model in (graph, tmp_path / "net.onnx"):
        reference = parity.from_onnx(model, {"x": x}, {"x": -x})
        assert {"eval/1/hidden", "eval/2/bounded", "eval/2/scores", "param/norm.bias"} <= set(reference.tensors)
        result = parity.check(Net(), reference, names=NAMES)
        assert result, parity.text(result)
        assert result.compared == len(reference.tensors) - 2
    assert len(graph.graph.output) == 1
    changed = Net()
    changed.norm.eps = 1e-2
    first = parity.check(changed, reference, names=NAMES).first
    assert first.name == "eval/1/normed"
    assert "eps" in first.hints[0].description


def test_a_graph_given_the_wrong_inputs_or_none_says_so(graph, tmp_path):
    with pytest.raises(UsageError, match="the graph's inputs are x; it was given y"):
        parity.from_onnx(graph, {"y": np.ones((1, 4), np.float32)})
    (tmp_path / "no.onnx").write_text("no")
    with pytest.raises(UsageError, match="cannot be read as an ONNX model"):
        parity.from_onnx(tmp_path / "no.onnx", {})
