"""Recording what an ONNX graph computes, node by node, on onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parity.errors import UsageError
from parity.module.capture import recording_of
from parity.recording.recording import Recording


def from_onnx(model: str | Path | Any, inputs: Mapping[str, Any], *more: Mapping[str, Any]) -> Recording:
    """Run an ONNX model on the inputs of each segment, and record every node's outputs under their names in the graph.

    `model` is a file or an `onnx.ModelProto`, `inputs` are arrays by the names of the graph's inputs. The graph runs on
    onnxruntime's CPU provider, without optimisations, which would fuse nodes away. Initializers are recorded as
    parameters. What a node computes in a subgraph (of an If or a Loop) and what is no tensor of numbers is left out.
    Raises `UsageError` if the model cannot be read, or is given other inputs than it has.
    """
    import onnx
    import onnxruntime

    try:
        graph = model if isinstance(model, onnx.ModelProto) else onnx.load(model)
    except Exception as error:
        raise UsageError(f"{model} cannot be read as an ONNX model: {error}") from error
    proto = onnx.ModelProto()
    proto.CopyFrom(graph)
    known = {output.name for output in proto.graph.output}
    names = [name for node in proto.graph.node for name in node.output if name]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = [given.name for given in session.get_inputs()]
    tensors: dict[str, Any] = {
        f"param/{initial.name}": onnx.numpy_helper.to_array(initial) for initial in proto.graph.initializer
    }
    for number, given in enumerate((inputs, *more), start=1):
        if set(given) != set(expected):
            raise UsageError(f"the graph's inputs are {', '.join(expected)}; it was given {', '.join(given) or 'none'}")
        arrays = {name: np.asarray(given[name]) for name in expected}
        tensors |= {f"input/{number}/{i}": arrays[name] for i, name in enumerate(expected)}
        found = dict(zip([o.name for o in session.get_outputs()], session.run(None, arrays), strict=True))
        for name in names:
            if isinstance(found[name], np.ndarray) and found[name].dtype.kind in "fiub":
                tensors[f"eval/{number}/{name}"] = found[name]
    return recording_of(tensors, implementation=f"ONNX graph {proto.graph.name}", onnxruntime=onnxruntime.__version__)
