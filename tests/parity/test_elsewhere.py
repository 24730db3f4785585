"""References from elsewhere: ONNX graphs, NumPy's files, Flax and Keras models, Julia functions and packages."""

import importlib.util
import subprocess
import sys

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


def held_against(arrays, x, **options):
    """The result for `Net` of arrays that another program computed of its input."""
    return parity.check(Net(), parity.recording_of({"input/1/0": x, **arrays}), **options)


def test_numpys_files(tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    weight, bias = (Net().state_dict()[f"up.{name}"].numpy() for name in ("weight", "bias"))
    np.savez(tmp_path / "reference.npz", **{"input/1/0": x, "eval/1/up": x @ weight.T + bias, "param/up.bias": bias})
    with np.load(tmp_path / "reference.npz") as file:
        result = parity.check(Net(), parity.recording_of(file))
    assert result, parity.text(result)
    assert result.compared == 2


def weights_of(net):
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


FLAX = """
import sys
import jax
import importlib.util
import subprocess
import sys

import numpy as np
from flax import linen

class Model(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.LayerNorm(epsilon=1e-5, name="norm")(jax.numpy.tanh(linen.Dense(8, name="up")(x)))
        return linen.Dense(3, name="down")(x)

model, x = Model(), np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
parameters = model.init(jax.random.PRNGKey(0), x)["params"]
leaves = jax.tree_util.tree_leaves_with_path
_, seen = model.apply({"params": parameters}, x, capture_intermediates=True)
np.savez(sys.argv[1], **{"/".join(p.key for p in path): leaf for path, leaf in leaves(parameters)})
paths = [(path, leaf) for path, leaf in leaves(seen["intermediates"]) if len(path) > 2]
np.savez(sys.argv[2], **{f"eval/1/{'.'.join(p.key for p in path[:-2])}": leaf for path, leaf in paths})
"""


def test_a_flax_model(tmp_path):
    """It runs in a process of its own: JAX has threads, after which no process may be forked."""
    if importlib.util.find_spec("flax") is None:
        pytest.skip("flax, whose model this is, is not installed")
    parameters, intermediates = tmp_path / "parameters.npz", tmp_path / "intermediates.npz"
    subprocess.run([sys.executable, "-W", "ignore", "-c", FLAX, parameters, intermediates], check=True)
    net, arrays = Net(), dict(np.load(intermediates))
    proposed = parity.map_weights(dict(np.load(parameters)), net)
    assert not proposed.missing, proposed
    net.load_state_dict(proposed.state_dict())
    assert sorted(arrays) == ["eval/1/down", "eval/1/norm", "eval/1/up"]
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    reference = parity.recording_of({"input/1/0": x, **arrays})
    result = parity.check(net, reference)
    assert result, parity.text(result)
    assert result.compared == 3
    assert parity.check(Net(), reference).first.name == "eval/1/up"


@pytest.mark.filterwarnings("ignore")
def test_a_keras_model(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras, whose model this is, is not installed")
    layers = [keras.layers.Dense(8, "tanh", name="up"), keras.layers.LayerNormalization(epsilon=1e-5, name="norm")]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, name="down")])
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    net = Net()
    proposed = parity.map_weights({v.path: keras.ops.convert_to_numpy(v) for v in model.variables}, net)
    net.load_state_dict(proposed.state_dict())
    seen = keras.Model(model.inputs, {layer.name: layer.output for layer in model.layers})(x)
    names = {"norm.in": "up", "norm": "norm", "down": "down", "up": "before"}
    reference = parity.recording_of(
        {"input/1/0": x, **{f"eval/1/{name}": keras.ops.convert_to_numpy(value) for name, value in seen.items()}}
    )
    result = parity.check(net, reference, names=names)
    assert result, parity.text(result)
    assert result.compared == 3


def test_a_julia_function_with_keyword_arguments(worker, tmp_path):
    (tmp_path / "net.jl").write_text(
        'module Little\nforward(w, x; bias) = Dict("up" => w\' * x .+ bias, "mask" => x .> 0)\nend\n'
    )
    worker.include(tmp_path / "net.jl")
    x, weights = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), weights_of(Net())
    seen = worker.call("Little.forward", weights["up.weight"], x, bias=weights["up.bias"])
    assert seen["mask"].dtype == bool
    result = held_against({"eval/1/up": seen["up"]}, x)
    assert result, parity.text(result)
