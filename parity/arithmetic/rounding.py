"""What float32 rounding does to a computation, found without any float32 kernel; and what float16 and bfloat16 do.

Monte Carlo arithmetic (Parker 1997, as in Verificarlo and CADNA): the computation runs in float64, and the result of
every operation is rounded at random to one of the two float32 numbers beside it, so that each run shows one way in
which float32 could have come out. A number that float32 holds stays as it is; so what only moves numbers is exact.

An operation that adds up K products rounds K times, not once. With rounding errors independent of each other, the
error of the sum has a standard deviation of

    unit / sqrt(12) * sqrt(K / 2) * sqrt(sum + squares),    sum = (sum_k p_k)^2,  squares = sum_k p_k^2

for products p_k added one after the other: the k-th partial sum is about sqrt(k) in size where the products have
random signs, and about k where they have one sign, and both are covered. Kernels that add in blocks are more exact.

Kernels of exp, tanh and their like are right to within one unit of float32, not to half of one as sums and products
are. So their results are moved by up to a unit before they are rounded.

In float16 and bfloat16 kernels compute in float32 within an operation, a softmax or a sum of products included, and
round its result once. So there an operation is rounded as a whole, and the errors of its sums are still float32's.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from parity.tolerance import UNIT

aten = torch.ops.aten


MOVES = {
    getattr(aten, name)
    for name in (
        "cat",
        "stack",
        "clone",
        "index",
        "index_select",
        "embedding",
        "gather",
        "where",
        "masked_fill",
        "flip",
    )
}
"""Operations that only move numbers."""
APPROXIMATE = {
    getattr(aten, name)
    for name in (
        *("exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "pow", "rsqrt"),
        *("sigmoid", "log_sigmoid_forward", "softplus", "silu", "gelu", "elu", "mish", "erf", "erfc"),
        *("tanh", "sinh", "cosh", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh"),
        *("gelu_backward", "silu_backward", "softplus_backward", "log_sigmoid_backward", "mish_backward"),
    )
}
"""Operations whose kernels approximate a function."""
BITS = {torch.float32: 29, torch.float16: 42, torch.bfloat16: 45}
"""How many bits fewer each format has than float64."""


class RandomRounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, every floating result of torch on this thread is rounded at random to `format`.

    That is torch.float32, torch.float16 or torch.bfloat16. `seed` makes a run repeatable. Tensors keep their dtype;
    infinities, NaN and numbers beyond the format's range stay.
    """

    def __init__(self, seed: int, format: torch.dtype = torch.float32) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.generator = torch.Generator().manual_seed(seed)
        self.bits = BITS[format]
        self.whole = format != torch.float32
        """Whether an operation of torch's is one rounding, whatever it is made of."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would have every call pass through its compiler, which costs more than the operation."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one operation and round what it computes."""
        kwargs = kwargs or {}
        operation = _operation(func)
        parts = operation.composite if self.whole else operation.parts
        if parts is not None:
            with self:
                return parts(*args, **kwargs)
        result = func(*args, **kwargs)
        if operation.is_exact:
            return result
        if operation.spread is not None and isinstance(result, Tensor) and result.is_floating_point():
            noise = torch.randn(result.shape, generator=self.generator, dtype=result.dtype)
            noise.mul_(operation.spread(result, *args)).nan_to_num_(0.0, 0.0, 0.0)  # infinities stay
            result.add_(noise)
        if operation.is_approximate and not self.whole and isinstance(result, Tensor) and result.is_floating_point():
            share = torch.rand(result.shape, generator=self.generator, dtype=result.dtype)
            result.mul_(share.sub_(0.5).mul_(2 * UNIT[torch.float32]).add_(1))
        for position in operation.written:  # operations on lists of tensors return nothing
            self._round(args[position])
        self._round(result)
        return result

    def _round(self, result: Any) -> None:
        """In place, so that an operation in place stays one."""
        if isinstance(result, Tensor):
            if result.dtype == torch.float64:
                # The bits that the format has not: carried up from them at random, they are then cut off.
                bits = result.view(torch.int64)
                carried = torch.randint(0, 1 << self.bits, bits.shape, generator=self.generator)
                bits.add_(carried).bitwise_and_(-1 << self.bits)
        elif isinstance(result, (tuple, list)):
            for part in result:
                self._round(part)


@dataclass(frozen=True)
class _Operation:
    """What is to be done about one of torch's operations."""

    is_exact: bool
    """Whether it only moves numbers, which are rounded already."""
    is_approximate: bool
    """Whether its kernels approximate a function."""
    written: tuple[int, ...]
    """Positions of the arguments that it changes in place and does not return."""
    parts: Callable[..., Any] | None
    """The same as operations of one rounding each."""
    composite: Callable[..., Any] | None
    """The same as torch itself composes it of other operations; None of what has a kernel."""
    spread: Callable[..., Tensor] | None
    """Of a sum: the standard deviation of its rounding error."""


@functools.cache
def _operation(func: Any) -> _Operation:
    schema = func._schema
    aliases = [r.alias_info for r in schema.returns if r.alias_info is not None]
    changed = [i for i, a in enumerate(schema.arguments) if a.alias_info is not None and a.alias_info.is_write]
    composed = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    composite = func.decompose if composed else None
    return _Operation(
        is_exact=any(not alias.is_write for alias in aliases) or func.overloadpacket in MOVES,
        is_approximate=func.overloadpacket in APPROXIMATE,
        written=() if aliases else tuple(changed),
        parts=_decompositions().get(func, composite),
        composite=composite,
        spread=SUMS.get(func.overloadpacket),
    )


@functools.cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """Operations of many roundings, each as the operations of one that it is made of."""
    from torch._decomp import get_decompositions  # takes a second to load

    names = [
        "_softmax",
        "_log_softmax",
        "_softmax_backward_data",
        "_log_softmax_backward_data",
        "logsumexp",
        "native_group_norm",
        "native_group_norm_backward",
        "std",
        "std_mean",
        "nll_loss_forward",
    ]
    table = get_decompositions([getattr(aten, name) for name in names])
    return {
        **table,
        aten.native_layer_norm.default: _layer_norm,
        aten.native_layer_norm_backward.default: _layer_norm_backward,
        aten.var_mean.correction: _var_mean,
        aten.var.correction: lambda *a, **k: _var_mean(*a, **k)[0],
        aten._scaled_dot_product_flash_attention_for_cpu.default: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward.default: _attention_backward,
    }


def _var_mean(
    x: Tensor, dim: Any = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    mean = torch.mean(x, dim, keepdim=True)
    square = torch.square(x - mean)
    terms = x.numel() // max(mean.numel(), 1)
    var = torch.sum(square, dim, keepdim=keepdim) / max(terms - (1 if correction is None else correction), 0)
    return var, mean if keepdim else mean.reshape(var.shape)


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, the mean and one over the deviation. Torch's own decomposition gives the same in twice the time."""
    dims = list(range(-len(shape), 0))
    mean = x.mean(dims, keepdim=True)
    centred = x - mean
    over_deviation = torch.rsqrt((centred * centred).mean(dims, keepdim=True) + eps)
    output = centred * over_deviation
    output = output if weight is None else output * weight
    return output if bias is None else output + bias, mean, over_deviation


def _layer_norm_backward(
    gradient: Tensor, x: Tensor, shape: Sequence[int], mean: Tensor, over_deviation: Tensor,
    weight: Tensor | None, bias: Tensor | None, wanted: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    dims, rest = list(range(-len(shape), 0)), list(range(x.ndim - len(shape)))
    normed = (x - mean) * over_deviation
    by_x = by_weight = by_bias = None
    if wanted[0]:
        scaled = gradient if weight is None else gradient * weight
        along = normed * (scaled * normed).mean(dims, keepdim=True)
        by_x = (scaled - scaled.mean(dims, keepdim=True) - along) * over_deviation
    if wanted[1] and weight is not None:
        by_weight = (gradient * normed).sum(rest) if rest else gradient * normed
    if wanted[2] and bias is not None:
        by_bias = gradient.sum(rest) if rest else gradient.clone()
    return by_x, by_weight, by_bias


def _scores(
    query: Tensor, key: Tensor, is_causal: bool, attn_mask: Tensor | None, scale: float | None
) -> tuple[Tensor, float]:
    """What attention takes the softmax of, (B, heads, T, S), and the scale that is in it."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale
    if is_causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).tril().logical_not(), -math.inf)
    return scores if attn_mask is None else scores + attn_mask, scale


def _attention(
    query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, is_causal: bool = False, *,
    attn_mask: Tensor | None = None, scale: float | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The output and the logarithm of each row's sum, which torch's own decomposition does not give.

    Where there are fewer heads of keys than of queries, several of these in a row share one of those.
    """
    shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    scores, _ = _scores(query, key, is_causal, attn_mask, scale)
    output = torch.softmax(scores, -1) @ value
    # In memory the kernel's output is (B, T, heads, H), which views of it rely on.
    return output.transpose(1, 2).contiguous().transpose(1, 2), torch.logsumexp(scores, -1)


def _attention_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, output: Tensor, logsumexp: Tensor,
    dropout_p: float, is_causal: bool, *, attn_mask: Tensor | None = None, scale: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    shared = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    scores, scale = _scores(query, key, is_causal, attn_mask, scale)
    weights = torch.exp(scores - logsumexp[..., None])
    way = gradient @ value.transpose(-2, -1) - (gradient * output).sum(-1, keepdim=True)
    by_scores = weights * way * scale
    by_value = weights.transpose(-2, -1) @ gradient
    of_one = (query.shape[0], -1, shared, *key.shape[2:])
    by_key = (by_scores.transpose(-2, -1) @ query).reshape(of_one).sum(2)
    return by_scores @ key, by_key, by_value.reshape(of_one).sum(2)


def _spread(total: Tensor, squares: Tensor, terms: int) -> Tensor:
    """The standard deviation of a sum's rounding error."""
    unit = UNIT[torch.float32] / math.sqrt(12) * math.sqrt(max(terms - 1, 0) / 2)
    return torch.addcmul(squares, total, total).sqrt_().mul_(unit)


def _product(result: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return _spread(result, a**2 @ b**2, min(a.shape[-1], 512))


def _added_product(result: Tensor, bias: Tensor, a: Tensor, b: Tensor, *_: Any) -> Tensor:
    return _product(result, a, b)


def _convolution(result: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> Tensor:
    squares = aten.convolution(x**2, weight**2, None, *rest)
    return _spread(result, squares, min(weight[0].numel(), 512))


def _norm(result: Tensor, x: Tensor, *_: Any) -> Tensor:
    """The root of a sum of squares, added one after the other in each of eight lanes."""
    return _spread(result, torch.zeros_like(result), x.numel() // max(result.numel(), 1) // 8) / 2


def _sum(result: Tensor, x: Tensor, dim: Any = None, keepdim: bool = False, *_: Any) -> Tensor:
    dims = list(range(x.ndim)) if dim is None or dim == [] else dim
    terms = math.prod(x.shape[d] for d in ([dims] if isinstance(dims, int) else dims))
    return _spread(result, torch.sum(x**2, dim=dims, keepdim=keepdim), min(terms, 64))


def _mean(result: Tensor, x: Tensor, dim: Any = None, keepdim: bool = False, *rest: Any) -> Tensor:
    dims = list(range(x.ndim)) if dim is None or dim == [] else dim
    terms = math.prod(x.shape[d] for d in ([dims] if isinstance(dims, int) else dims))
    return _sum(result * terms, x, dim, keepdim, *rest) / terms


SUMS: dict[Any, Callable[..., Tensor]] = {
    aten.mm: _product,
    aten.bmm: _product,
    aten.mv: _product,
    aten.dot: _product,
    aten.addmm: _added_product,
    aten.baddbmm: _added_product,
    aten.addmv: _added_product,
    aten.convolution: _convolution,
    aten.linalg_vector_norm: _norm,
    aten.sum: _sum,
    aten.mean: _mean,
}
