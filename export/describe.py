"""The words of the manifest: what every input and output of the graphs means, and the rules that a host follows."""

from pathlib import Path
from typing import Any

import msgspec
from onnx import ModelProto, TensorProto, helper

from sharnn_py.config import Config
from sharnn_py.memory import most_keys_of_a_step

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
    return str(MEANINGS["state"][part].format(i=i))


def dtype_name(element: int) -> str:
    """The name of an ONNX element type, as NumPy has it."""
    return "bfloat16" if element == TensorProto.BFLOAT16 else helper.tensor_dtype_to_np_dtype(element).name


def rules(config: Config) -> dict[str, Any]:
    """The manifest's `rules`: how a host makes masks and slots, and turns a memory into a ring and back."""
    if not config.attention_layers:
        return {}
    N = config.max_memory
    short, long = f"T < {N}", f"T >= {N}"
    held = "M" if config.attends(0) else "1"
    dropped = {
        "paper": {short: f"min(M, max(0, M + T - {N}))", long: f"min(M, T - {N})"},
        "julia": {short: f"min(M, max(0, {held} + T - {N}))", long: f"min(M, {held} + T - {N})"},
    }
    return {
        "mask": {
            "dropped": dropped[config.semantics.memory_cut],
            "mask[t][j]": "0 if dropped <= j <= M + t, else -inf; for t below T and j below M + T",
        },
        "ring": {
            "most_keys": most_keys_of_a_step(config),
            "begin": "ring 0, bias -inf everywhere, next slot 0",
            "slot": "count up from 0; at most_keys start over at 0, over the oldest row; a ring of fewer slots than "
            "most_keys must grow before it is full, for starting over would lose rows",
            "from_memory": "ring[b * heads + a][s] = memory[s][b][a * d : (a + 1) * d] with d = emb / heads and "
            "bias[s] = 0 for s below M; the next slot is M, or 0 if M is most_keys",
            "to_memory": f"the last {N} rows written, oldest first",
        },
    }
