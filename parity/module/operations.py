"""How torch's own layers compute their outputs, for diagnosis: the operations of submodules of known types."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from parity.subject.scene import Operation

FUNCTIONS: dict[type[nn.Module], str] = {
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.ReLU: "relu",
    nn.SiLU: "silu",
    nn.ELU: "elu",
    nn.Mish: "mish",
    nn.Softplus: "softplus",
    nn.Softsign: "softsign",
    nn.Identity: "identity",
}
"""Activations, under their names in `parity.diagnosis.operations.activation`."""

FIRST_OF_STATE = " (its first layer)"
"""Added to the key of a state (1, B, H), this makes the key of its only layer, (B, H)."""


def parameter_key(path: str, name: str) -> str:
    """The key of a parameter, which no tensor of the trace has."""
    return f"parameter {path}.{name}"


def operations_of(module: nn.Module, path: str, called: str, taken: Sequence[str]) -> dict[str, Operation]:
    """The operations of one call of a submodule, by the key of its output.

    `path` is its place in the whole module, `called` the name of this call, `taken` the keys of the tensors it was
    given, in order. Empty for a type that is not known.
    """
    if not taken:
        return {}
    x = {"x": taken[0]}
    parameters = {name: parameter_key(path, name) for name, _ in module.named_parameters(recurse=False)}
    own = type(module)
    if own in FUNCTIONS:
        return {called: Operation("activation", x, {"function": FUNCTIONS[own]})}
    if isinstance(module, nn.GELU):
        function = "gelu_erf" if module.approximate == "none" else "gelu_tanh"
        return {called: Operation("activation", x, {"function": function})}
    if isinstance(module, nn.Softmax) and module.dim == -1:
        return {called: Operation("softmax", x)}
    if isinstance(module, nn.Embedding):
        return {called: Operation("embedding", {"ids": taken[0], **parameters})}
    if isinstance(module, nn.Linear):
        return {called: Operation("linear", {**x, **parameters})}
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        settings = {"unbiased": False, "eps": module.eps, "eps_outside": False}
        return {called: Operation("layer_norm", {**x, **parameters}, settings)}
    if isinstance(module, (nn.LSTM, nn.GRU)):
        return _recurrent(module, called, taken, parameters)
    return {}


def _recurrent(
    module: nn.LSTM | nn.GRU, called: str, taken: Sequence[str], parameters: Mapping[str, str]
) -> dict[str, Operation]:
    if module.num_layers > 1 or module.bidirectional or module.batch_first:
        return {}
    weights = {name.removesuffix("_l0"): key for name, key in parameters.items()}
    state = {role: key + FIRST_OF_STATE for role, key in zip("hc", taken[1:], strict=False)}
    settings: dict[str, Any] = {"output": "y", "axes": ("time", "batch", "feature")}
    name = "lstm" if isinstance(module, nn.LSTM) else "gru"
    return {f"{called}.0": Operation(name, {"x": taken[0], **weights, **state}, settings)}
