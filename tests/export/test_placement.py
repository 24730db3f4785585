"""Nodes that CUDA has no kernel for are found on a machine without a GPU; the exported graphs have none."""

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.cuda_kernels import KERNELS
from export.placement import assigned_providers, place_graphs, unplaceable
from export.serving.providers import open_session

FLOAT, HALF, BFLOAT, INT64, BOOL = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT64, TensorProto.BOOL
)  # fmt: skip


def model(nodes, inputs, outputs, constants=(), opset=17):
    def values(named):
        return [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in named]

    graph = helper.make_graph(
        nodes, "g", values(inputs), values(outputs), [numpy_helper.from_array(a, name) for name, a in constants]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def only_fault(*args, **named):
    (fault,) = unplaceable(model(*args, **named))
    return fault.why


@pytest.mark.parametrize("options", [{}, {"precision": "float16"}])
def test_every_node_of_an_export_has_a_cuda_kernel(export_of, config, options):
    _, folder = export_of(config, options)
    for name in ("segment", "step"):
        graph = onnx.load(str(folder / f"{name}.onnx"), load_external_data=False)
        assert unplaceable(graph) == []
        assert {node.op_type for node in graph.graph.node} <= set(KERNELS)


def test_an_int8_step_would_fall_to_the_cpu(exported):
    faults = unplaceable(onnx.load(str(exported / "step.int8.onnx"), load_external_data=False))
    assert {fault.op for fault in faults} == {"MatMulInteger"}


def test_shape_arithmetic_is_found():
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], name="shape"),
        helper.make_node("Reshape", ["x", "s"], ["y"], name="reshape"),
    ]
    faults = unplaceable(model(nodes, [("x", FLOAT, ["A"])], [("y", FLOAT, None)]))
    assert [fault.op for fault in faults] == ["Shape", "Reshape"]
    assert "read on the host, and is not a constant" in faults[1].why


def test_where_on_bool_is_found():
    node = helper.make_node("Where", ["c", "a", "b"], ["y"], name="where")
    inputs = [("c", BOOL, [2]), ("a", BOOL, [2]), ("b", BOOL, [2])]
    assert "no kernel for bool as its input 1" in only_fault([node], inputs, [("y", BOOL, [2])])


def test_an_lstm_in_bfloat16_is_found_and_in_float16_is_not():
    def lstm(kind):
        node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], name="lstm", hidden_size=3)
        inputs = [("x", kind, [5, 1, 2]), ("w", kind, [1, 12, 2]), ("r", kind, [1, 12, 3])]
        return [node], inputs, [("y", kind, [5, 1, 1, 3])]

    assert unplaceable(model(*lstm(HALF))) == []
    assert "no kernel for bfloat16" in only_fault(*lstm(BFLOAT), opset=22)


def test_unknown_operators_subgraphs_and_old_opsets_are_found():
    node = helper.make_node("Multinomial", ["x"], ["y"], name="draw", sample_size=1, dtype=INT64)
    assert "the table" in only_fault([node], [("x", FLOAT, [1, 2])], [("y", INT64, [1, 1])])
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", FLOAT, [2])]
    )
    node = helper.make_node("If", ["c"], ["y"], name="if", then_branch=branch, else_branch=branch)
    assert "subgraph" in only_fault([node], [("c", BOOL, []), ("x", FLOAT, [2])], [("y", FLOAT, [2])])
    node = helper.make_node("Pow", ["x", "x"], ["y"], name="pow")
    assert "opset 15 and later" in only_fault([node], [("x", FLOAT, [2])], [("y", FLOAT, [2])], opset=13)


def test_onnxruntime_tells_where_each_node_runs(exported, tmp_path):
    session = open_session(exported / "step.onnx", "cpu", record_placement=True)
    named = {node.name for node in onnx.load(str(exported / "step.onnx"), load_external_data=False).graph.node}
    placed = assigned_providers(session)
    assert {provider for _, _, provider in placed} == {"cpu"}
    assert len({name for name, _, _ in placed} & named) > len(named) * 0.8  # it folds constants and fuses some


def test_a_graph_that_would_fall_back_is_reported_by_node(exported, tmp_path):
    """The report of `sharnn onnx check` covers every graph of the folder."""
    import shutil

    folder = tmp_path / "export"
    shutil.copytree(exported, folder)
    graph = onnx.load(str(folder / "step.onnx"), load_external_data=False)
    graph.graph.node.insert(0, helper.make_node("Shape", ["tokens"], ["how_many"], name="how_many"))
    graph.graph.output.append(helper.make_tensor_value_info("how_many", INT64, [1]))
    (folder / "step.onnx").write_bytes(graph.SerializeToString())
    faults = [node for node in place_graphs(folder, "cpu") if node.why]
    assert [(node.graph, node.node, node.op) for node in faults] == [("step", "how_many", "Shape")]
