"""A function of every number by itself. Role: x. Settings: `function`, a key of `FUNCTIONS` or `SLOPED`; `slope`, of
the latter."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant, for_each, rowwise

FUNCTIONS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "sigmoid": ("the sigmoid", torch.sigmoid),
    "tanh": ("tanh", torch.tanh),
    "gelu_sigmoid": ("the sigmoid gelu, x sigmoid(1.702 x)", lambda x: x * torch.sigmoid(1.702 * x)),
    "gelu_erf": ("the exact gelu, by erf", F.gelu),
    "gelu_tanh": ("the tanh gelu", lambda x: F.gelu(x, approximate="tanh")),
    "gelu_sigmoid_1_7": ("the sigmoid gelu with 1.7, x sigmoid(1.7 x)", lambda x: x * torch.sigmoid(1.7 * x)),
    "silu": ("silu, x sigmoid(x)", F.silu),
    "relu": ("relu", torch.relu),
    "identity": ("no function at all", lambda x: x),
    "sigmoid_1_702": ("sigmoid(1.702 x) alone", lambda x: torch.sigmoid(1.702 * x)),
    "leaky_relu": ("leaky relu (0.01)", F.leaky_relu),
    "leaky_relu_0_2": ("leaky relu (0.2)", lambda x: F.leaky_relu(x, 0.2)),
    "elu": ("elu", F.elu),
    "selu": ("selu", F.selu),
    "softplus": ("softplus", F.softplus),
    "softsign": ("softsign", F.softsign),
    "mish": ("mish", F.mish),
    "relu6": ("relu6", F.relu6),
    "squared_relu": ("the square of relu", lambda x: torch.relu(x).square()),
    "hard_sigmoid": ("the hard sigmoid", F.hardsigmoid),
    "hard_sigmoid_0_2": ("the hard sigmoid of slope 0.2", lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "hard_tanh": ("the hard tanh", F.hardtanh),
    "hard_swish": ("the hard swish", F.hardswish),
    "log_sigmoid": ("log sigmoid", F.logsigmoid),
    "half_tanh": ("(1 + tanh(x)) / 2", lambda x: (1 + torch.tanh(x)) / 2),
    "complement": ("sigmoid(-x)", lambda x: torch.sigmoid(-x)),
    "sigmoid_twice": ("the sigmoid twice", lambda x: torch.sigmoid(torch.sigmoid(x))),
    "tanh_twice": ("tanh twice", lambda x: torch.tanh(torch.tanh(x))),
    "exp": ("exp", torch.exp),
    "sine": ("the sine", torch.sin),
    "tanh_shrink": ("x - tanh(x)", F.tanhshrink),
    "soft_shrink": ("the soft shrink (0.5)", F.softshrink),
    "hard_shrink": ("the hard shrink (0.5)", F.hardshrink),
    "cosine": ("the cosine", torch.cos),
    "absolute": ("|x|", torch.abs),
    "square": ("the square", torch.square),
    "softmax": ("a softmax over the last axis", lambda x: x.softmax(-1)),
}


SLOPED: dict[str, tuple[str, float, Callable[[Tensor, float], Tensor]]] = {
    "leaky_relu": ("leaky relu of slope {}", 0.01, lambda x, slope: torch.where(x > 0, x, slope * x)),
    "elu": ("elu of alpha = {}", 1.0, lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(x))),
    "celu": (
        "celu of alpha = {}", 1.0, lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(x / alpha))
    ),
    "softplus": (
        "softplus of beta = {}", 1.0, lambda x, beta: torch.log1p(torch.exp(-(beta * x).abs())) / beta + x.relu()
    ),
}  # fmt: skip
"""Functions of a number besides, the setting `slope`: their words, its usual value, and what they compute."""


GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "hard sigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
    "1/2 + atan / pi": lambda x: 0.5 + torch.atan(x) / math.pi,
    "(1 + softsign) / 2": lambda x: (1 + F.softsign(x)) / 2,
    "normal distribution (erf)": lambda x: (1 + torch.erf(x / math.sqrt(2))) / 2,
}
"""What x may be multiplied by in place of a sigmoid, each of a multiple of x."""


def _own(o: Operands) -> tuple[str, Callable[[Tensor], Tensor]]:
    """The canonical function, in words and as it is computed."""
    name, slope = o.settings["function"], o.settings.get("slope")
    if name in SLOPED and (slope is not None or name not in FUNCTIONS):
        words, usual, function = SLOPED[name]
        slope = usual if slope is None else slope
        return words.format(f"{slope:g}"), lambda x: function(x, slope)
    return FUNCTIONS[name]


def _variants(o: Operands) -> Iterator[Variant]:
    name = o.settings["function"]
    canonical, function = _own(o)
    x = o["x"]
    for other, (words, f) in FUNCTIONS.items():
        if other != name or "slope" in o.settings:
            yield Variant(f"applies {words}", canonical, partial(f, x))
    yield Variant("applies its function twice", "once", lambda: function(function(x)))
    slopes = (1.5, 1.6, 1.703, 1.72, 1.74, 1.782, 1.8, 2.0, 0.851, 0.5)
    yield from for_each(slopes, "applies x sigmoid({:g} x)", canonical, lambda slope: x * torch.sigmoid(slope * x))


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    x, canonical = o["x"], _own(o)[0]
    for words, usual, function in SLOPED.values():
        yield FittedParameter(f"applies a {words}", canonical, 0.9 * usual, partial(function, x), low=0.0)
    yield FittedParameter("applies x sigmoid({} x)", canonical, 1.702, lambda slope: x * torch.sigmoid(slope * x))
    for words, gate in GATES.items():
        yield FittedParameter(f"applies x times the {words} of {{}} x", canonical, 0.9, partial(_gated, gate, x))
    yield FittedParameter("applies the sigmoid of {} x", canonical, 1.0, lambda slope: torch.sigmoid(slope * x))
    yield FittedParameter("applies tanh of {} x", canonical, 1.0, lambda slope: torch.tanh(slope * x))


def _gated(gate: Callable[[Tensor], Tensor], x: Tensor, slope: float) -> Tensor:
    return x * gate(slope * x)


OPERATIONS = {
    "activation": OperationDefinition(
        lambda o: _own(o)[1](o["x"]), _variants, rowwise("x", mixes=1), _fitted_parameters
    )
}
