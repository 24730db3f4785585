"""How torch's own layers compute their outputs, for diagnosis: the operations of submodules of known types."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from parity.module.recurrent import cell_operations, recurrent_operations
from parity.subject.scene import Operation

FUNCTIONS: dict[type[nn.Module], str] = {
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.ReLU: "relu",
    nn.SiLU: "silu",
    nn.Mish: "mish",
    nn.Softsign: "softsign",
    nn.SELU: "selu",
    nn.ReLU6: "relu6",
    nn.Hardsigmoid: "hard_sigmoid",
    nn.Hardswish: "hard_swish",
    nn.LogSigmoid: "log_sigmoid",
    nn.Identity: "identity",
}
"""Activations, under their names in `parity.diagnosis.operations.activation`."""
SLOPED: dict[type[nn.Module], tuple[str, str]] = {
    nn.LeakyReLU: ("leaky_relu", "negative_slope"),
    nn.ELU: ("elu", "alpha"),
    nn.CELU: ("celu", "alpha"),
    nn.Softplus: ("softplus", "beta"),
}
"""Those with a number, and its name."""


def parameter_key(path: str, name: str) -> str:
    """The key of a parameter, which no tensor of the trace has."""
    return f"parameter {path}.{name}" if path else f"parameter {name}"


def operations_of(
    module: nn.Module, path: str, called: str, taken: Sequence[str], tensors: Sequence[Tensor]
) -> dict[str, Operation]:
    """The operations of one call of a submodule, by the key of what it puts out.

    `path` is its place in the whole module, `called` the name of this call, `taken` the keys of the tensors it was
    given, in order, and `tensors` these. Empty for a type that is not known.
    """
    if not taken:
        return {}
    held = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    parameters = {name: parameter_key(path, name) for name, _ in held}
    if isinstance(module, (nn.LSTM, nn.GRU, nn.RNN)):
        return recurrent_operations(module, called, taken, parameters, tensors)
    if isinstance(module, (nn.LSTMCell, nn.GRUCell, nn.RNNCell)):
        return cell_operations(module, called, taken, parameters, tensors)
    step = _layer(module, taken[0], parameters) or _activation(module, taken[0], tensors[0].ndim)
    return {} if step is None else {called: step}


def _layer(module: nn.Module, x: str, parameters: Mapping[str, str]) -> Operation | None:
    inputs = {"x": x, **parameters}
    if isinstance(module, nn.Embedding):
        return Operation("embedding", {"ids": x, **parameters})
    if isinstance(module, nn.Linear):
        return Operation("linear", inputs)
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
        over, eps = tuple(range(-len(module.normalized_shape), 0)), module.eps
        if isinstance(module, nn.LayerNorm):
            return Operation("layer_norm", inputs, {"unbiased": False, "eps": eps, "eps_outside": False, "over": over})
        eps = torch.finfo(torch.float64).eps if eps is None else eps
        return Operation("layer_norm", inputs, {"eps": eps, "over": over, "centred": False, "by_mean_square": True})
    if isinstance(module, nn.GroupNorm):
        return Operation("group_norm", inputs, {"groups": module.num_groups, "eps": module.eps})
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        kept = {"mean": "running_mean", "variance": "running_var", "weight": "weight", "bias": "bias"}
        roles = {role: parameters[name] for role, name in kept.items() if name in parameters}
        return Operation("batch_norm", {"x": x, **roles}, {"eps": module.eps})
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return _convolution(module, inputs)
    return _pooling(module, x)


def _convolution(module: nn.Conv1d | nn.Conv2d | nn.Conv3d, inputs: Mapping[str, str]) -> Operation | None:
    padding: Any = module.padding
    if isinstance(padding, str):
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        if padding == "same" and any(span % 2 for span in spans):
            return None
        padding = tuple(span // 2 if padding == "same" else 0 for span in spans)
    settings = {"stride": module.stride, "padding": padding, "dilation": module.dilation, "groups": module.groups}
    return Operation("conv", inputs, {**settings, "mode": module.padding_mode})


def _pooling(module: nn.Module, x: str) -> Operation | None:
    kinds = {"max": (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), "mean": (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)}
    for how, sorts in kinds.items():
        for axes, sort in enumerate(sorts, 1):
            if isinstance(module, sort) and not getattr(module, "return_indices", False):
                given: Any = module
                names = {"size": "kernel_size", "stride": "stride", "padding": "padding", "dilation": "dilation"}
                found = {to: getattr(given, name, 1) for to, name in names.items()}
                settings = {to: n if isinstance(n, tuple) else (n,) * axes for to, n in found.items()}
                more = {"ceil": given.ceil_mode, "counted": getattr(given, "count_include_pad", True)}
                return Operation("pool", {"x": x}, {"how": how, **settings, **more})
    return None


def _activation(module: nn.Module, x: str, ndim: int) -> Operation | None:
    own: Any = module
    for sort, (function, slope) in SLOPED.items():
        if isinstance(module, sort) and getattr(module, "threshold", 20) == 20:
            return Operation("activation", {"x": x}, {"function": function, "slope": getattr(own, slope)})
    if type(module) in FUNCTIONS:
        return Operation("activation", {"x": x}, {"function": FUNCTIONS[type(module)]})
    if isinstance(module, nn.GELU):
        function = "gelu_erf" if module.approximate == "none" else "gelu_tanh"
        return Operation("activation", {"x": x}, {"function": function})
    if isinstance(module, (nn.Softmax, nn.LogSoftmax)) and isinstance(module.dim, int):
        axis = module.dim if module.dim < 0 else module.dim - ndim
        return Operation("softmax", {"x": x}, {"axis": axis, "log": isinstance(module, nn.LogSoftmax)})
    return None
