"""Which operators onnxruntime's CUDA provider has kernels for, with which element types, and what it reads on the host.

The table follows onnxruntime's OperatorKernels.md (1.31), for the operators that graphs of recurrent models use,
from ONNX opset 13 on. An operator that is not in it is treated as one that CUDA cannot run.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
OLD_FLOATS = FLOATS - {"bfloat16"}
WHOLE = frozenset({"int32", "int64", "uint32", "uint64"})
INDICES = frozenset({"int32", "int64"})
ALL = FLOATS | WHOLE | {"int8", "int16", "uint8", "uint16", "bool"}


@dataclass(frozen=True)
class Kernel:
    """What CUDA's kernels of one operator accept."""

    inputs: tuple[frozenset[str], ...]
    """Element types of each input; the last entry holds for all further inputs."""
    host: frozenset[int] = frozenset()
    """Inputs read on the host. They must be constants, or the nodes that compute them run on the CPU."""
    since: int = 13
    """The first opset for which this entry holds."""


def _same(types: frozenset[str], since: int = 13) -> Kernel:
    return Kernel((types,), since=since)


def _with_host(types: frozenset[str], *host: int, since: int = 13) -> Kernel:
    """A kernel of data in `types`, with indices for the inputs `host`, which are read on the host."""
    return Kernel((types, INDICES), frozenset(host), since)


KERNELS: dict[str, Kernel] = {
    "Abs": _same(FLOATS | WHOLE),
    "Add": _same(FLOATS | WHOLE),
    "Cast": _same(ALL),
    "Concat": _same(ALL),
    "Div": _same(FLOATS | WHOLE),
    "Equal": _same(OLD_FLOATS | WHOLE | {"bool"}),
    "Erf": _same(OLD_FLOATS),
    "Exp": _same(OLD_FLOATS),
    "Expand": _with_host(ALL, 1),
    "Gather": Kernel((ALL, INDICES)),
    "GatherND": Kernel((FLOATS | {"bool", "int64"}, frozenset({"int64"}))),
    "Gemm": _same(FLOATS),
    "Greater": _same(OLD_FLOATS | WHOLE),
    "Identity": _same(ALL),
    "LSTM": Kernel((OLD_FLOATS,) * 4 + (frozenset({"int32"}),) + (OLD_FLOATS,), since=14),
    "LayerNormalization": _same(FLOATS, since=17),
    "Less": _same(OLD_FLOATS | WHOLE),
    "Log": _same(OLD_FLOATS),
    "MatMul": _same(FLOATS),
    "MatMulInteger": _same(frozenset({"int8"})),
    "Max": _same(FLOATS | WHOLE),
    "Min": _same(FLOATS | WHOLE),
    "Mul": _same(FLOATS | WHOLE),
    "Neg": _same(FLOATS | {"int8", "int16", "int32", "int64"}),
    "Not": _same(frozenset({"bool"})),
    "Pad": Kernel((OLD_FLOATS | {"bool"}, INDICES, OLD_FLOATS | {"bool"}), frozenset({1})),
    "Pow": _same(FLOATS | INDICES, since=15),
    "ReduceMax": _with_host(OLD_FLOATS | INDICES, 1),
    "ReduceMean": _with_host(OLD_FLOATS | {"int32"}, 1),
    "ReduceSum": _with_host(FLOATS | INDICES, 1),
    "Reshape": _with_host(ALL, 1),
    "Round": _same(OLD_FLOATS),
    "ScatterElements": Kernel((ALL, INDICES, ALL)),
    "ScatterND": Kernel((ALL, frozenset({"int64"}), ALL)),
    "Sigmoid": _same(FLOATS),
    "Slice": _with_host(ALL, 1, 2, 3, 4),
    "Softmax": _same(FLOATS),
    "Split": _with_host(ALL, 1),
    "Sqrt": _same(FLOATS),
    "Squeeze": _with_host(ALL, 1),
    "Sub": _same(FLOATS | WHOLE),
    "Tanh": _same(FLOATS),
    "Transpose": _same(ALL),
    "Unsqueeze": _with_host(ALL, 1),
    "Where": Kernel((frozenset({"bool"}), (OLD_FLOATS | {"int32", "int64", "uint8"}))),
}

ON_HOST = frozenset({"Shape", "Size"})
"""Operators whose result lies on the host: what is computed from it runs on the CPU."""
