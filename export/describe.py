"""The words of the manifest: what every input and output of the graphs means."""

from pathlib import Path
from typing import Any

import msgspec
from onnx import ModelProto, TensorProto, helper

MEANINGS = msgspec.toml.decode(Path(__file__).with_name("meanings.toml").read_bytes())
"""What each input and output means: by graph, and under `state` those of both graphs."""


def describe_graph(file: str, model: ModelProto) -> dict[str, Any]:
    """The manifest's `graphs` entry of a graph: what its inputs and outputs mean, and where its weights lie."""

    def ports(values: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": value.name,
                "dtype": dtype_name(value.type.tensor_type.elem_type),
                "shape": [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
                "meaning": _meaning(value.name, model.graph.name),
            }
            for value in values
        ]

    weights = []
    for tensor in model.graph.initializer:
        if at := {entry.key: entry.value for entry in tensor.external_data}:
            weight = {"name": tensor.name, "dtype": dtype_name(tensor.data_type), "shape": list(tensor.dims)}
            weights.append({**weight, "file": at["location"], "offset": int(at["offset"])})
    return {"file": file, "inputs": ports(model.graph.input), "outputs": ports(model.graph.output), "weights": weights}


def _meaning(name: str, graph: str) -> str:
    if not name.startswith("layers."):
        return str(MEANINGS[graph][name])
    _, i, part = name.split(".", 2)
    return str(MEANINGS[graph].get(part, MEANINGS["state"].get(part)).format(i=i))


def dtype_name(element: int) -> str:
    """The name of an ONNX element type, as NumPy has it."""
    return "bfloat16" if element == TensorProto.BFLOAT16 else helper.tensor_dtype_to_np_dtype(element).name
