"""Building an ONNX graph node by node, with its weights in a file beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 17  # the first with LayerNormalization, and old enough for every runtime in use
IR_VERSION = 8  # the version that introduced opset 17

Precision = Literal["float32", "float16"]
"""An export's precision: that of its weights, its state and, with a few exceptions, its graphs' activations."""
ELEMENT = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}
_DTYPES = {"F32": "float32", "F16": "float16", "I8": "int8", "U8": "uint8"}
Dim = int | str
LEADING: dict[str, list[Dim]] = {"segment": ["T", "B"], "step": ["B"]}
"""The leading axes of every activation, by graph."""
CONTRIB = "com.microsoft"
"""The domain of onnxruntime's own operators."""


@dataclass(frozen=True)
class Stored:
    """Where in a file the bytes of one tensor lie."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


Weights = dict[str, Stored]
"""Every stored weight, by its name."""


def stored(file: str, data: bytes) -> Weights:
    """Where every tensor of the safetensors `data` lies, once it is written beside the graph as `file`."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: Stored(file, _DTYPES[entry["dtype"]], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in header.items()
    }


class Graph:
    """An ONNX graph under construction. Callers name every value; a node is named after its first output.

    Every method that adds something returns the names of its results.
    """

    def __init__(self, name: str, precision: Precision, weights: Weights) -> None:
        self.name = name
        self.precision: Precision = precision
        self.weights = weights
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._nodes: list[Any] = []
        self._contrib: list[ValueInfoProto] = []
        self._initializers: dict[str, TensorProto] = {}

    def input(self, name: str, dtype: str, shape: Sequence[Dim]) -> str:
        """Declare an input of the graph; names in `shape` are dimensions that vary."""
        self._inputs.append(helper.make_tensor_value_info(name, ELEMENT[dtype], list(shape)))
        return name

    def output(self, name: str, dtype: str, shape: Sequence[Dim]) -> None:
        """Declare the value `name` an output of the graph."""
        self._outputs.append(helper.make_tensor_value_info(name, ELEMENT[dtype], list(shape)))

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node with one output."""
        return self.split(op, inputs, [output], **attributes)[0]

    def contrib(self, op: str, inputs: Sequence[str], output: str, shape: Sequence[Dim], **attributes: Any) -> str:
        """Add a node of onnxruntime's own operators with one output, of this graph's precision and of `shape`.

        ONNX's shape inference does not know these operators, so the graph says what they return.
        """
        self._contrib.append(helper.make_tensor_value_info(output, ELEMENT[self.precision], list(shape)))
        return self.add(op, inputs, output, domain=CONTRIB, **attributes)

    def split(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> list[str]:
        """Add a node with several outputs; an output that is not needed is named ""."""
        name = next(output for output in outputs if output)
        self._nodes.append(helper.make_node(op, list(inputs), list(outputs), name=name, **attributes))
        return list(outputs)

    def cast(self, value: str, to: str, output: str) -> str:
        """Convert `value` between float32 and this graph's precision, to `to`; in a float32 graph nothing is added."""
        return value if self.precision == "float32" else self.add("Cast", [value], output, to=ELEMENT[to])

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """A small tensor that is kept in the graph itself, once for each name."""
        self._initializers[name] = numpy_helper.from_array(value, name)
        return name

    def integers(self, *values: int) -> str:
        """An int64 constant, named by its values."""
        return self.constant("int64_" + "_".join(str(v) for v in values), np.array(values, np.int64))

    def weight(self, name: str, shape: Sequence[int] | None = None) -> str:
        """The stored weight of that name; with `shape`, as many of its first numbers as fill that shape."""
        at = self.weights[name]
        shape = at.shape if shape is None else tuple(shape)
        size = int(np.prod(shape)) * np.dtype(at.dtype).itemsize
        tensor = TensorProto(name=name, data_type=ELEMENT[at.dtype], dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", at.file), ("offset", at.offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        self._initializers[name] = tensor
        return name

    def model(self) -> ModelProto:
        """The finished ONNX model."""
        graph = helper.make_graph(
            self._nodes,
            self.name,
            self._inputs,
            self._outputs,
            list(self._initializers.values()),
            value_info=self._contrib,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if self._contrib:
            opsets.append(helper.make_opsetid(CONTRIB, 1))
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sharnn")
