"""Where the nodes of a graph run: as onnxruntime reports it, and whether CUDA could run them, by a table."""

from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto
from onnxruntime import InferenceSession

from export.cuda_kernels import KERNELS, ON_HOST
from export.describe import dtype_name
from export.manifest import Manifest
from export.serving.providers import NAMES, Provider, open_session


@dataclass(frozen=True)
class Fault:
    """A node that CUDA could not run, and why."""

    node: str
    op: str
    why: str

    def __str__(self) -> str:
        return f"{self.op} {self.node!r}: {self.why}"


@dataclass(frozen=True)
class NodePlacement:
    """A node, the provider that runs it, and, if the table of kernels says so, why CUDA could not run it."""

    graph: str
    node: str
    op: str
    provider: str
    why: str = ""


def unplaceable(model: ModelProto) -> list[Fault]:
    """Every node of a graph that CUDA has no kernel for, by the table `export/cuda_kernels.toml`.

    Raises `onnx.shape_inference.InferenceError` for a graph whose types are inconsistent.
    """
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    types = {
        value.name: dtype_name(value.type.tensor_type.elem_type)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    constants = {tensor.name: dtype_name(tensor.data_type) for tensor in graph.initializer}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    faults = []
    for node in graph.node:
        why = _why_not(node, types | constants, set(constants), opsets[node.domain])
        if why:
            faults.append(Fault(node.name, node.op_type, why))
    return faults


def _why_not(node: NodeProto, types: dict[str, str], constants: set[str], opset: int) -> str | None:
    if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
        return "it has a subgraph, whose control runs on the CPU"
    if node.op_type in ON_HOST:
        return "its result lies on the host, and what is computed from it runs on the CPU"
    kernel = KERNELS.get(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
    if kernel is None:
        return "the table of CUDA kernels does not have it"
    if opset < kernel.since:
        return f"its CUDA kernel is for opset {kernel.since} and later, the graph is of opset {opset}"
    for position, name in enumerate(node.input):
        if not name:
            continue
        if types.get(name) not in kernel.takes(position):
            return f"CUDA has no kernel for {types.get(name)} as its input {position} ({name})"
        if position in kernel.host and name not in constants:
            return f"its input {position} ({name}) is read on the host, and is not a constant"
    return None


def place_graphs(folder: Path, provider: Provider) -> list[NodePlacement]:
    """The provider of every node of every graph in an export folder that is opened on `provider`.

    The provider is what onnxruntime reports. `why` says why CUDA could not run the node, except for int8 steps, which
    are for the CPU and are skipped on any other provider. Raises `ExportError` or `ProviderError`.
    """
    manifest = Manifest.load(folder)
    placements = []
    for graph, entry in manifest.graphs.items():
        if graph == "step.int8" and provider != "cpu":
            continue
        path = folder / entry["file"]
        session = open_session(path, provider, record_placement=True)
        faults = {}
        if graph != "step.int8":
            faults = {fault.node: fault.why for fault in unplaceable(onnx.load(str(path), load_external_data=False))}
        placements += [
            NodePlacement(graph, name, op, assigned, faults.get(name, ""))
            for name, op, assigned in assigned_providers(session)
        ]
    return placements


def assigned_providers(session: InferenceSession) -> list[tuple[str, str, str]]:
    """(node, operator, provider) of every node of a session opened with `record_placement`."""
    return [
        (node.name, node.op_type, NAMES.get(part.ep_name, part.ep_name))
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
