"""The functions of torch as operations that diagnosis knows, by what they are called with.

A function of `BUILDERS` takes what torch's does and says what is computed of which tensors; one of `EXPANSIONS` is
several operations, and computed by these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.module.expansions import EXPANSIONS
from parity.subject.scene import Operation

MOST_AXES = 5
HIDING = -1e3
"""What is added to a score to hide it is no more than this."""


@dataclass(frozen=True)
class Step:
    """An operation's name, the tensors it is computed from, and its settings."""

    name: str
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What is known of a call besides its arguments."""

    call: Callable[..., Tensor]
    """The call again, of its tensors."""
    part: int | None
    """Which of several results is meant."""
    constants: Collection[int]
    """The ids of the tensors that depend on nothing that is recorded."""
    sizes: tuple[int, ...]
    """Sizes of the tensors about."""
    words: str


def expansion_of(func: Any) -> Callable[..., Any] | None:
    """The plain operations of a function, if it has such."""
    return EXPANSIONS.get(getattr(func, "__name__", ""))


def step_of(
    func: Any,
    args: Any,
    kwargs: Any,
    part: int | None,
    call: Callable[..., Tensor],
    constants: Collection[int],
    sizes: tuple[int, ...],
) -> Step | None:
    """What a call computes, if its function is known; None if not, or if it is called in another way."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        name = getattr(func.__self__, "__name__", "")
    bare = name.strip("_") if name not in ("__rdiv__", "__rsub__") else name
    builder = BUILDERS.get(bare)
    if builder is None:
        return None
    try:
        return builder(Context(call, part, constants, sizes, bare), *args, **kwargs)
    except (TypeError, ValueError, IndexError, AttributeError, KeyError):  # called in a way that is not known
        return None


SIBLINGS = (
    ("max_pool1d", "avg_pool1d"), ("max_pool2d", "avg_pool2d"), ("adaptive_avg_pool1d", "adaptive_max_pool1d"),
    ("adaptive_avg_pool2d", "adaptive_max_pool2d"), ("sin", "cos"), ("floor", "round", "ceil", "trunc"),
    ("tril", "triu"), ("cumsum", "cumprod"), ("amax", "amin"), ("eq", "ne"), ("gt", "ge"), ("lt", "le"),
    ("maximum", "minimum"), ("argmax", "argmin"), ("log", "log2", "log10", "log1p"),
)  # fmt: skip
"""Functions that are called alike."""
MODES = {
    "interpolate": ("nearest", "linear", "bilinear", "bicubic", "area", "nearest-exact"),
    "pad": ("constant", "reflect", "replicate", "circular"),
}
"""What `mode` may be."""
NAMESPACES = (F, torch, torch.Tensor)


def other_calls(func: Any, args: Any, kwargs: Any) -> list[tuple[str, str, Any, Mapping[str, Any]]]:
    """What may be called in a function's place: words, words for the canonical, the function and its keywords."""
    name = getattr(func, "__name__", "")
    found: list[tuple[str, str, Any, Mapping[str, Any]]] = []
    for alike in SIBLINGS:
        for other in alike if name in alike else ():
            space = next((s for s in NAMESPACES if hasattr(s, other) and hasattr(s, name)), None)
            if other != name and space is not None:
                found.append(
                    (
                        f"takes {other}",
                        name,
                        getattr(space, other),
                        {k: v for k, v in kwargs.items() if k != "return_indices"},
                    )
                )
    for mode in MODES.get(name, ()):
        own = kwargs.get("mode", "constant" if name == "pad" else "nearest")
        if mode != own:
            found.append((f"has mode {mode}", own, func, {**kwargs, "mode": mode}))
    for key, value in kwargs.items():
        if isinstance(value, bool) and key != "inplace":
            found.append((f"has {key} = {not value}", str(value), func, {**kwargs, key: not value}))
    if name == "pad":
        found += _other_pads(func, args, kwargs)
    return found


def _other_pads(func: Any, args: Any, kwargs: Any) -> list[tuple[str, str, Any, Mapping[str, Any]]]:
    ends = args[1] if len(args) > 1 else kwargs["pad"]
    mirrored = [n for i in range(0, len(ends), 2) for n in (ends[i + 1], ends[i])]
    even = [n for i in range(0, len(ends), 2) for n in ((ends[i] + ends[i + 1]) // 2,) * 2]
    start = [n for i in range(0, len(ends), 2) for n in (ends[i] + ends[i + 1], 0)]
    end = [n for i in range(0, len(ends), 2) for n in (0, ends[i] + ends[i + 1])]
    words = {
        "at the other end": mirrored,
        "as much at both ends": even,
        "at the start alone": start,
        "at the end alone": end,
    }
    more = {"mode": args[2]} if len(args) > 2 else {}
    return [
        (
            f"pads {where}",
            f"by {tuple(ends)}",
            _Padding(tuple(n)),
            {**more, **{k: v for k, v in kwargs.items() if k != "pad"}},
        )
        for where, n in words.items()
        if list(n) != list(ends)
    ]


@dataclass(frozen=True)
class _Padding:
    """`F.pad` by other numbers, whatever it is called with."""

    ends: tuple[int, ...]

    def __call__(self, x: Tensor, *_: Any, **kwargs: Any) -> Tensor:
        return F.pad(x, self.ends, **kwargs)


def steps_before(
    name: str, roles: Mapping[str, str], operations: Mapping[str, Operation], constants: Collection[str]
) -> dict[str, str]:
    """More roles of an operation, by what computes its x: scores before their mask, a variance before its eps."""
    before = operations.get(roles.get("x", ""))
    if before is not None and name == "softmax" and before.name == "filled":
        return {"unmasked": before.inputs["x"]}
    gain = operations.get(roles.get("gain", ""))
    if gain is not None and name == "times" and gain.name == "activation":
        return {"inner": gain.inputs["x"]}
    if before is not None and name == "root" and before.name == "shifted":
        return {"bare": before.inputs["x"]}
    if before is not None and name == "shifted" and before.name == "root" and not before.settings["inverse"]:
        return {"square": before.inputs["x"]}
    return {}


def _axis(axis: int, x: Tensor) -> int:
    """Counted from the end."""
    return axis if axis < 0 else axis - x.ndim


def _softmax(log: bool, c: Context, input: Tensor, dim: Any = None, *_: Any, **__: Any) -> Step:
    return Step("softmax", {"x": input}, {"axis": _axis(int(dim), input), "log": log})


def _matmul(c: Context, input: Tensor, other: Tensor) -> Step:
    return Step("matmul", {"a": input, "b": other}, {"sizes": c.sizes})


def _einsum(c: Context, equation: str, *operands: Any) -> Step | None:
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    if len(tensors) != 2:
        return None
    return Step("matmul", {"a": tensors[0], "b": tensors[1]}, {"equation": equation, "sizes": c.sizes})


def _number(x: Any, c: Context) -> float | None:
    """A number, or a constant tensor of one."""
    if isinstance(x, Tensor):
        return float(x) if x.numel() == 1 and x.ndim == 0 and id(x) in c.constants else None
    return float(x) if isinstance(x, (int, float)) else None


def _mul(c: Context, input: Any, other: Any) -> Step:
    for a, b in ((input, other), (other, input)):
        number = _number(b, c)
        if number is not None and isinstance(a, Tensor):
            return Step("scaled", {"x": a}, {"factor": number, "sizes": c.sizes})
    x, gain = (other, input) if input.ndim < other.ndim else (input, other)
    return Step("times", {"x": x, "gain": gain})


def _div(c: Context, input: Any, other: Any, rounding_mode: Any = None) -> Step | None:
    number = _number(other, c)
    if rounding_mode is not None:
        return None
    if number:
        return Step("scaled", {"x": input}, {"factor": 1 / number, "sizes": c.sizes})
    return Step("quotient", {"x": input, "by": other}) if isinstance(other, Tensor) else None


def _add(c: Context, input: Any, other: Any, *, alpha: float = 1) -> Step | None:
    for a, b in ((input, other), (other, input)):
        number = _number(b, c)
        if number is not None and isinstance(a, Tensor):
            return Step("shifted", {"x": a}, {"term": number * alpha})
        if isinstance(b, Tensor) and id(b) in c.constants and alpha == 1 and isinstance(a, Tensor):
            masked = _added_mask(a, b)
            if masked is not None:
                return masked
    return Step("add", {"a": input, "b": other}) if alpha == 1 else None


def _added_mask(x: Tensor, mask: Tensor) -> Step | None:
    if not mask.is_floating_point() or float(mask.min()) > HIDING:
        return None
    hidden = mask <= HIDING
    values = mask[hidden]
    if bool((values != values[0]).any()) or bool((mask[~hidden] != 0).any()):
        return None
    return Step("filled", {"x": x, "mask": mask}, {"value": float(values[0]), "added": True})


def _sub(c: Context, input: Any, other: Any, *, alpha: float = 1) -> Step | None:
    number = _number(other, c)
    if number is not None:
        return Step("shifted", {"x": input}, {"term": -number * alpha})
    return Step("difference", {"a": input, "b": other}) if alpha == 1 and isinstance(other, Tensor) else None


def _masked_fill(c: Context, input: Tensor, mask: Tensor, value: Any) -> Step:
    return Step("filled", {"x": input, "mask": mask}, {"value": float(value)})


def _where(c: Context, condition: Tensor, input: Any, other: Any) -> Step | None:
    number = _number(other, c)
    if number is not None and isinstance(input, Tensor):
        return Step("filled", {"x": input, "mask": condition}, {"value": number, "shows": True})
    number = _number(input, c)
    if number is not None and isinstance(other, Tensor):
        return Step("filled", {"x": other, "mask": condition}, {"value": number})
    return None


def _activation(function: str, c: Context, input: Tensor, *args: Any, **kwargs: Any) -> Step | None:
    slope = next((v for v in (*args, *kwargs.values()) if type(v) in (int, float)), None)
    return Step("activation", {"x": input}, {"function": function, **({} if slope is None else {"slope": slope})})


def _gelu(c: Context, input: Tensor, approximate: str = "none") -> Step:
    return Step("activation", {"x": input}, {"function": "gelu_tanh" if approximate == "tanh" else "gelu_erf"})


def _given(**tensors: Tensor | None) -> dict[str, Tensor]:
    return {role: t for role, t in tensors.items() if t is not None}


def _linear(c: Context, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Step:
    return Step("linear", _given(x=input, weight=weight, bias=bias))


def _layer_norm(
    c: Context, input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Step:
    over = tuple(range(-len(normalized_shape), 0))
    return Step("layer_norm", _given(x=input, weight=weight, bias=bias), {"eps": eps, "over": over})


def _rms_norm(c: Context, input: Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Step:
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    settings = {"eps": eps, "over": tuple(range(-len(normalized_shape), 0)), "centred": False, "by_mean_square": True}
    return Step("layer_norm", _given(x=input, weight=weight), settings)


def _embedding(c: Context, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Step:
    ids, table = (input, weight) if not input.is_floating_point() else (weight, input)
    return Step("embedding", {"ids": ids, "weight": table})


def _group_norm(
    c: Context, input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Step:
    return Step("group_norm", _given(x=input, weight=weight, bias=bias), {"groups": num_groups, "eps": eps})


def _reduced(how: str, c: Context, input: Tensor, dim: Any = None, *args: Any, **kwargs: Any) -> Step | None:
    keep = kwargs.get("keepdim", next((a for a in args if isinstance(a, bool)), False))
    unbiased = kwargs.get("unbiased", kwargs.get("correction", 1) != 0)
    if how in ("var", "std") and args:
        unbiased, keep = (args[0], args[1]) if len(args) > 1 else (args[0], keep)
    if isinstance(dim, bool) or c.part:
        return None
    axes = tuple(range(-input.ndim, 0)) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    settings = {
        "how": how,
        "axes": tuple(sorted(_axis(a, input) for a in axes)),
        "keep": keep,
        "unbiased": bool(unbiased),
    }
    return Step("reduced", {"x": input}, settings)


def _joined(stacked: bool, c: Context, tensors: Any, dim: int = 0) -> Step:
    axis = dim if dim < 0 else dim - tensors[0].ndim - stacked
    return Step("joined", {str(i): x for i, x in enumerate(tensors)}, {"axis": axis, "stacked": stacked})


def _root(inverse: bool, c: Context, input: Tensor) -> Step:
    return Step("root", {"x": input}, {"inverse": inverse})


def _pow(c: Context, input: Any, exponent: Any) -> Step | None:
    if exponent in (0.5, -0.5):
        return Step("root", {"x": input}, {"inverse": exponent < 0})
    return None


def _same(c: Context, input: Tensor, *_: Any, **__: Any) -> Step:
    return Step("same", {"x": input})


def _move(c: Context, input: Tensor, *args: Any, **kwargs: Any) -> Step | None:
    if any(isinstance(a, Tensor) for a in args):
        return None
    given = ", ".join([*map(_short, args), *(f"{k}={_short(v)}" for k, v in kwargs.items())])
    return Step("move", {"x": input}, {"call": c.call, "words": f"{c.words}({given})" if given else c.words})


def _short(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, (torch.Size, list)) else str(value)


def _split(c: Context, input: Tensor, *args: Any, **kwargs: Any) -> Step | None:
    """One of the parts that a tensor falls in; others may be taken for it."""
    axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    if c.words == "unbind":
        axis = kwargs.get("dim", args[0] if args else 0)
        parts = [partial(torch.select, dim=axis, index=i) for i in range(input.shape[axis])]
    else:
        pieces = getattr(torch, c.words)(input, *args, **kwargs)
        starts = [sum(p.shape[axis] for p in pieces[:i]) for i in range(len(pieces))]
        parts = [
            partial(torch.narrow, dim=axis, start=start, length=p.shape[axis])
            for start, p in zip(starts, pieces, strict=True)
        ]
    own = c.part or 0
    others = [(f"takes part {i + 1} of {len(parts)}", f"part {own + 1}", p) for i, p in enumerate(parts) if i != own]
    if c.words != "unbind":
        words = f"takes every row of {len(parts)} in turn for neighbouring ones (interleaved)"
        others.append((words, "neighbouring ones", partial(_strided, axis, len(parts), own)))
    return Step("move", {"x": input}, {"call": c.call, "words": f"part {own + 1} of {len(parts)}", "others": others})


def _strided(axis: int, step: int, start: int, x: Tensor) -> Tensor:
    return x.index_select(axis, torch.arange(start, x.shape[axis], step))


def _index(c: Context, input: Tensor, index: Any) -> Step | None:
    given = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, (Tensor, list)) for i in given):
        return None
    others: list[tuple[str, str, Callable[[Tensor], Tensor]]] = []
    axis = 0
    for place, i in enumerate(given):
        if i is Ellipsis:
            axis = input.ndim - sum(j is not None for j in given[place + 1 :])
        elif i is None:
            continue
        elif isinstance(i, int):
            size = input.shape[axis]
            for other in dict.fromkeys((0, size - 1, i % size + 1, i % size - 1, *range(min(size, 8)))):
                if 0 <= other < size and other != i % size:
                    words = (f"takes row {other} of axis {axis}", f"row {i % size}")
                    others.append((*words, partial(_at, (*given[:place], other, *given[place + 1 :]))))
            axis += 1
        else:
            start, stop, step = i.indices(input.shape[axis])
            if step > 1 and start < step and stop == input.shape[axis]:
                part = partial(_chunked, axis, step, start)
                others.append(("takes neighbouring rows for every second or nth", "every nth", part))
            others += [
                (
                    f"takes rows {s.start} to {s.stop - 1} of axis {axis}",
                    "others",
                    partial(_at, (*given[:place], s, *given[place + 1 :])),
                )
                for s in _other_slices(i, input.shape[axis])
            ]
            axis += 1
    if None in given:
        orders = (
            {tuple(id(i) for i in order): order for order in permutations(given)} if len(given) <= MOST_AXES else {}
        )
        for order in orders.values():
            if [i is None for i in order] != [i is None for i in given]:
                spelled = ", ".join("None" if i is None else ":" if isinstance(i, slice) else str(i) for i in order)
                others.append((f"puts its new axes as [{spelled}]", "elsewhere", partial(_at, order)))
    return Step("move", {"x": input}, {"call": c.call, "words": "index", "others": others})


def _chunked(axis: int, count: int, part: int, x: Tensor) -> Tensor:
    return x.chunk(count, axis)[part]


def _other_slices(own: slice, size: int) -> list[slice]:
    start, stop, step = own.indices(size)
    length = stop - start
    if step != 1 or length == size:
        return []
    starts = dict.fromkeys((0, size - length, start + 1, start - 1, start + length, start - length))
    return [slice(s, s + length) for s in starts if 0 <= s <= size - length and s != start]


def _at(index: Any, x: Tensor) -> Tensor:
    result: Tensor = x[index]
    return result


def _neg(c: Context, input: Tensor) -> Step:
    return Step("scaled", {"x": input}, {"factor": -1.0, "sizes": c.sizes})


def _instance_norm(
    c: Context,
    input: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Step | None:
    settings = {"groups": input.shape[1], "eps": eps}
    return Step("group_norm", _given(x=input, weight=weight, bias=bias), settings) if use_input_stats else None


def _batch_norm(
    c: Context,
    input: Tensor,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Step:
    kept = {} if training else {"mean": running_mean, "variance": running_var}
    return Step("batch_norm", _given(x=input, weight=weight, bias=bias, **kept), {"eps": eps})


def _many(value: Any, axes: int) -> tuple[int, ...]:
    return (int(value),) * axes if isinstance(value, int) else tuple(value)


def _conv(
    axes: int,
    c: Context,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Step:
    settings = {"stride": _many(stride, axes), "padding": _many(padding, axes), "dilation": _many(dilation, axes)}
    return Step("conv", _given(x=input, weight=weight, bias=bias), {**settings, "groups": groups, "mode": "zeros"})


def _window(axes: int, kernel_size: Any, stride: Any, padding: Any) -> dict[str, tuple[int, ...]]:
    """The settings of a pooling; without a stride, windows stand side by side."""
    size = _many(kernel_size, axes)
    return {"size": size, "stride": _many(stride, axes) if stride else size, "padding": _many(padding, axes)}


def _max_pool(
    axes: int,
    c: Context,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Step:
    settings = _window(axes, kernel_size, stride, padding)
    return Step("pool", {"x": input}, {"how": "max", **settings, "dilation": _many(dilation, axes), "ceil": ceil_mode})


def _avg_pool(
    axes: int,
    c: Context,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Step:
    settings = _window(axes, kernel_size, stride, padding)
    return Step("pool", {"x": input}, {"how": "mean", **settings, "ceil": ceil_mode, "counted": count_include_pad})


Builder = Callable[..., Step | None]
MOVES = (
    "view", "reshape", "transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "T", "mT", "H", "mH", "t",
    "unsqueeze", "squeeze", "flatten", "unflatten", "ravel", "expand", "expand_as", "view_as", "reshape_as", "repeat",
    "repeat_interleave", "tile", "flip", "roll", "narrow", "select", "broadcast_to", "rot90", "diagonal", "adjoint",
)  # fmt: skip
ACTIVATIONS = {
    "relu": "relu", "silu": "silu", "sigmoid": "sigmoid", "tanh": "tanh", "leaky_relu": "leaky_relu", "elu": "elu",
    "softplus": "softplus", "mish": "mish", "selu": "selu", "softsign": "softsign", "logsigmoid": "log_sigmoid",
    "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish", "relu6": "relu6", "exp": "exp", "sin": "sine",
    "abs": "absolute", "square": "square", "celu": "celu", "cos": "cosine",
    "tanhshrink": "tanh_shrink", "softshrink": "soft_shrink", "hardshrink": "hard_shrink", "hardtanh": "hard_tanh",
}  # fmt: skip
BUILDERS: dict[str, Builder] = {
    **dict.fromkeys(MOVES, _move),
    **{name: partial(_activation, function) for name, function in ACTIVATIONS.items()},
    **dict.fromkeys(("matmul", "mm", "bmm", "mv"), _matmul),
    **dict.fromkeys(("mul", "rmul", "multiply", "imul"), _mul),
    **dict.fromkeys(("div", "divide", "true_divide", "truediv", "itruediv"), _div),
    **dict.fromkeys(("add", "radd", "iadd"), _add),
    **dict.fromkeys(("sub", "subtract", "isub"), _sub),
    **dict.fromkeys(("cat", "concat", "concatenate"), partial(_joined, False)),
    **dict.fromkeys(("chunk", "split", "unbind", "split_with_sizes"), _split),
    **{how: partial(_reduced, how) for how in ("mean", "sum", "var", "std", "amax", "amin", "logsumexp")},
    **dict.fromkeys(
        ("contiguous", "clone", "dropout", "float", "double", "to", "type_as", "detach", "feature_dropout"), _same
    ),
    "neg": _neg,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    **{f"conv{n}d": partial(_conv, n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": partial(_max_pool, n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": partial(_avg_pool, n) for n in (1, 2, 3)},
    "max": partial(_reduced, "amax"),
    "min": partial(_reduced, "amin"),
    "stack": partial(_joined, True),
    "softmax": partial(_softmax, False),
    "log_softmax": partial(_softmax, True),
    "sqrt": partial(_root, False),
    "rsqrt": partial(_root, True),
    "pow": _pow,
    "einsum": _einsum,
    "masked_fill": _masked_fill,
    "where": _where,
    "gelu": _gelu,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "embedding": _embedding,
    "getitem": _index,
}
