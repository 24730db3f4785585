"""The words of the manifest: what every input and output of the graphs means, and the rules that a host follows."""

from __future__ import annotations

from typing import Any

from onnx import ModelProto, helper

from sharnn_py.config import Config
from sharnn_py.memory import most_keys_of_a_step

_SEGMENT = {
    "tokens": "ids from 0 of T steps of B sequences",
    "mask": "added to the attention's scores; K = M + T; see rules.mask",
    "attention_scale": "1 / sqrt(T)",
    "logits": "of the next token after each of `tokens`",
}
_STEP = {
    "tokens": "the next id, from 0, of each of B sequences",
    "slots": "row b * heads + a holds (b * heads + a, slot): the slot of the ring that this step writes",
    "bias": "added to the attention's scores: 0 for slots that hold a row, -inf for the others",
    "bias.next": "`bias` with this step's slot at 0; may be the same buffer",
    "logits": "of the next token",
}
_STATE = {
    "h": "hidden state of block {i}'s LSTM; zeros to begin",
    "c": "cell state of block {i}'s LSTM; zeros to begin",
    "memory": "block {i}'s M memory rows, oldest first; no rows to begin; every block's M is the same",
    "ring": "block {i}'s memory in C slots, in any order; row b * heads + a is head a of sequence b; see rules.ring",
}
_NEXT = {
    "h": "`layers.{i}.h` to carry on",
    "c": "`layers.{i}.c` to carry on",
    "memory": "`layers.{i}.memory` to carry on: the last max_memory of the K rows",
    "ring": "`layers.{i}.ring` with this step's row; may be the same buffer, and should be: nothing else moves then",
}


def describe_graph(file: str, model: ModelProto) -> dict[str, Any]:
    """The manifest's `graphs` entry of a graph: what its inputs and outputs mean, and where its weights lie."""
    meanings = _SEGMENT if model.graph.name == "segment" else _STEP

    def ports(values: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": value.name,
                "dtype": _dtype(value.type.tensor_type.elem_type),
                "shape": [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
                "meaning": meanings.get(value.name) or _state_meaning(value.name),
            }
            for value in values
        ]

    weights = []
    for tensor in model.graph.initializer:
        at = {entry.key: entry.value for entry in tensor.external_data}
        if at:
            place = {"file": at["location"], "offset": int(at["offset"])}
            weights.append(
                {"name": tensor.name, "dtype": _dtype(tensor.data_type), "shape": list(tensor.dims), **place}
            )
    return {"file": file, "inputs": ports(model.graph.input), "outputs": ports(model.graph.output), "weights": weights}


def _dtype(element: int) -> str:
    return helper.tensor_dtype_to_np_dtype(element).name


def _state_meaning(name: str) -> str:
    _, i, part, *following = name.split(".")
    return (_NEXT if following else _STATE)[part].format(i=i)


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
