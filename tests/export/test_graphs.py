"""The graphs as files: what is in them, by count and by name, and that their weights are there once."""

from collections import Counter

import onnx
import pytest

from export.manifest import Manifest
from sharnn_py import PAPER, Config
from tests.export.conftest import SIZES


def graph(folder, name):
    return onnx.load(str(folder / f"{name}.onnx"), load_external_data=False)


def of_block(model, i):
    return Counter(node.op_type for node in model.graph.node if node.name.startswith((f"blocks.{i}.", f"layers.{i}.")))


LAYERS = Counter(LayerNormalization=3, MatMul=1, Add=2, Mul=2, Sigmoid=1, Reshape=1, ReduceSum=1)
JULIA_BOOM = Counter(Pad=1)
SEGMENT_LSTM = Counter(LSTM=1, Transpose=2, Unsqueeze=2, Squeeze=3)
STEP_LSTM = Counter(Gemm=2, Split=2, Sigmoid=1, Tanh=2, Mul=3, Add=1, Where=2)
SEGMENT_ATTENTION = Counter(
    LayerNormalization=3, Concat=1, Slice=1, MatMul=3, Add=3, Reshape=3, Transpose=4, Softmax=1, Mul=1
)
STEP_ATTENTION = Counter(LayerNormalization=3, ScatterND=1, MatMul=3, Add=3, Reshape=4, Softmax=1, Mul=1)


@pytest.mark.parametrize(("name", "lstm", "attention"), [
    ("segment", SEGMENT_LSTM, SEGMENT_ATTENTION),
    ("step", STEP_LSTM, STEP_ATTENTION),
])  # fmt: skip
def test_every_block_has_just_the_nodes_it_needs(exported, config, name, lstm, attention):
    model = graph(exported, name)
    block = LAYERS + lstm + (JULIA_BOOM if config.semantics.boom == "julia" else Counter())
    scale = Counter(Mul=1) if name == "segment" and config.semantics.attention_scale == "julia" else Counter()
    assert of_block(model, 1) == block
    assert of_block(model, 0) == of_block(model, 2) == block + attention + scale
    rest = Counter(node.op_type for node in model.graph.node) - block - block - block - attention - attention
    outside = Counter(Gather=1, Transpose=1, MatMul=1) + (Counter(Add=1) if config.decoder_bias else Counter())
    outside += Counter(Less=1, Where=1) if name == "step" else Counter()
    assert rest == outside + scale + scale


@pytest.mark.parametrize("name", ["segment", "step", "step.int8"])
def test_names_are_unique_and_say_where_they_are(exported, name):
    model = graph(exported, name)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert all(node.name in node.output for node in model.graph.node)
    known = ("blocks.", "layers.", "logits", "embed", "decoder.", "holds", "bias")
    assert all(n.startswith(known) for n in names)


def test_state_goes_in_and_out_by_the_names_of_a_saved_state(exported, config):
    model = graph(exported, "segment")
    inputs, outputs = ({v.name for v in values} for values in (model.graph.input, model.graph.output))
    state = {f"layers.{i}.{part}" for i in range(3) for part in ("h", "c", *(("memory",) if config.attends(i) else ()))}
    scale = {"attention_scale"} if config.semantics.attention_scale == "julia" else set()
    assert inputs == {"tokens", "mask"} | state | scale
    assert outputs == {"logits"} | {f"{name}.next" for name in state}


@pytest.mark.parametrize("name", ["segment", "step", "step.int8"])
def test_the_checker_and_strict_shape_inference_pass(exported, name):
    onnx.checker.check_model(str(exported / f"{name}.onnx"), full_check=True)
    inferred = onnx.shape_inference.infer_shapes(graph(exported, name), strict_mode=True, data_prop=True)
    typed = {value.name for value in (*inferred.graph.value_info, *inferred.graph.output)}
    assert {output for node in inferred.graph.node for output in node.output if output} <= typed


def external(tensor):
    return {entry.key: entry.value for entry in tensor.external_data}


def test_both_graphs_take_every_weight_from_one_file_and_none_is_kept_twice(exported):
    places = []
    for name in ("segment", "step"):
        tensors = graph(exported, name).graph.initializer
        inside = [t for t in tensors if t.data_location != onnx.TensorProto.EXTERNAL]
        assert sum(t.ByteSize() for t in inside) < 4096
        outside = {t.name: external(t) for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL}
        assert {entry["location"] for entry in outside.values()} == {"weights.safetensors"}
        places.append({name: entry["offset"] for name, entry in outside.items()})
    assert places[0] == places[1]
    assert len(set(places[0].values())) == len(places[0])


def test_the_manifest_describes_every_input_and_output_as_it_is(exported):
    manifest = Manifest.load(exported)
    for name, entry in manifest.graphs.items():
        model = graph(exported, name)
        for described, values in ((entry["inputs"], model.graph.input), (entry["outputs"], model.graph.output)):
            assert [port["name"] for port in described] == [value.name for value in values]
            for port, value in zip(described, values, strict=True):
                kind = value.type.tensor_type
                assert port["dtype"] == onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
                assert port["shape"] == [d.dim_param or d.dim_value for d in kind.shape.dim]
                assert port["meaning"]
                assert "{" not in port["meaning"]


def test_a_boom_that_is_no_multiple_is_cut_to_the_features_that_count(export_of):
    _, folder = export_of(Config(**SIZES, semantics=PAPER), hidden=31)
    weight = next(t for t in graph(folder, "step").graph.initializer if t.name == "blocks.0.boom.weight")
    assert list(weight.dims) == [12, 24]


def test_float16_graphs_compute_norms_softmax_and_logits_in_float32(export_of, config):
    _, folder = export_of(config, {"precision": "float16"})
    for name in ("segment", "step"):
        inferred = onnx.shape_inference.infer_shapes(graph(folder, name), strict_mode=True, data_prop=True)
        types = {v.name: v.type.tensor_type.elem_type for v in (*inferred.graph.value_info, *inferred.graph.output)}
        nodes = {node.name: node for node in inferred.graph.node}
        assert all(
            attribute.i == onnx.TensorProto.FLOAT
            for node in nodes.values()
            for attribute in node.attribute
            if attribute.name == "stash_type"
        )
        assert all(types[n.output[0]] == onnx.TensorProto.FLOAT for n in nodes.values() if n.op_type == "Softmax")
        assert types["logits"] == onnx.TensorProto.FLOAT
        assert types["layers.0.h.next"] == types["blocks.1.out"] == onnx.TensorProto.FLOAT16
