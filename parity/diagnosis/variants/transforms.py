"""What may happen to any tensor, whatever computes it: reversed, shifted, scaled, rounded to half precision.

A transform is described by a phrase that goes after "gives its result" or "takes x".
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.constants import constants, named

HALVES = {"bfloat16": (torch.bfloat16, 2.0**-7), "float16": (torch.float16, 2.0**-10)}
"""The half precisions, each with its unit of rounding; bfloat16 first, as float16 can hold most of its numbers."""
FEW = 4
"""The fewest elements on which a match with a generic variant is not a coincidence."""
LEAST = 1e-6
"""The smallest size of a fitted factor that counts as one."""
ENOUGH = 8
"""The fewest elements on which a fitted number is not a coincidence."""
SEVERAL = 2
"""The fewest elements that must show a limit."""


@dataclass(frozen=True)
class Transform:
    """One thing that may happen to a tensor."""

    phrase: str
    apply: Callable[[Tensor], Tensor]
    needs_whole_tensor: bool = False
    """Whether it moves rows, so that a window of its result is not its result on a window."""


def scalings(sizes: Iterable[int]) -> Iterator[Transform]:
    """Scalings by every constant worth a name."""
    for name, number in constants(sizes).items():
        phrase = "with its sign turned" if number == -1 else f"scaled by {name}"
        yield Transform(phrase, partial(torch.mul, other=number))


def moves(shape: Sequence[int], axes: Sequence[str]) -> Iterator[Transform]:
    """Axes reversed, exchanged, and shifted by up to three rows."""
    for phrase, move in _moves(shape, axes):
        yield Transform(phrase, move, needs_whole_tensor=True)


def _moves(shape: Sequence[int], axes: Sequence[str]) -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    for axis, size in enumerate(shape):
        if size > 1:
            yield f"reversed along {axes[axis]}", partial(torch.flip, dims=(axis,))
            first = torch.zeros(size, dtype=torch.int64)
            yield f"with the first row of {axes[axis]} in every row", partial(_rows, axis, first)
            yield f"with the mean over {axes[axis]} in every row", partial(_mean, axis)
            yield f"with the mean of the rows so far along {axes[axis]}", partial(_running_mean, axis)
    if len(shape) > 1 and shape[-1] == shape[-2] > 1:
        yield f"with {axes[-2]} and {axes[-1]} exchanged", lambda x: x.mT
    if len(shape) > 2 and shape[0] == shape[1] > 1:
        yield f"with {axes[0]} and {axes[1]} exchanged", lambda x: x.transpose(0, 1)
    for axis, size in enumerate(shape):
        for k in (k for k in (1, -1, 2, -2, 3, -3) if abs(k) < size):
            rows = f"{abs(k)} {'row' if abs(k) == 1 else 'rows'} {'later' if k > 0 else 'earlier'}"
            words, source = f"shifted by {rows} in {axes[axis]}", torch.arange(size) - k
            yield f"{words}, round the end", partial(torch.roll, shifts=k, dims=axis)
            yield f"{words}, with zeros for what is missing", partial(_rows_or_zeros, axis, source)
            yield f"{words}, with the last row repeated", partial(_rows, axis, source.clamp(0, size - 1))


def _mean(axis: int, x: Tensor) -> Tensor:
    return x.mean(axis, keepdim=True).expand_as(x)


def _running_mean(axis: int, x: Tensor) -> Tensor:
    count = torch.arange(1, x.shape[axis] + 1, dtype=x.dtype)
    return x.cumsum(axis) / count.reshape([-1 if other == axis else 1 for other in range(x.ndim)])


def _rows(axis: int, index: Tensor, x: Tensor) -> Tensor:
    return x.index_select(axis, index)


def _rows_or_zeros(axis: int, index: Tensor, x: Tensor) -> Tensor:
    """Zeros for the rows that are not there."""
    inside = index.clamp(0, x.shape[axis] - 1)
    outside = (index != inside).reshape([-1 if other == axis else 1 for other in range(x.ndim)])
    return x.index_select(axis, inside).masked_fill(outside, 0)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "the sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "the exact gelu": F.gelu,
    "the tanh gelu": partial(F.gelu, approximate="tanh"),
    "a leaky relu": F.leaky_relu,
    "elu": F.elu,
    "silu": lambda x: x * torch.sigmoid(x),
    "its size |x|": torch.abs,
    "its square": torch.square,
    "exp": torch.exp,
    "1 - x": lambda x: 1 - x,
    "1 + x": lambda x: 1 + x,
    "a softmax over the last axis": lambda x: x.softmax(-1),
    "a log softmax over the last axis": lambda x: x.log_softmax(-1),
    "a layer norm without gain and bias": lambda x: F.layer_norm(x, x.shape[-1:]),
    "a division by its norm over the last axis": lambda x: F.normalize(x, dim=-1),
    "a division by its sum over the last axis": lambda x: x / x.sum(-1, keepdim=True),
    "a subtraction of its mean over the last axis": lambda x: x - x.mean(-1, keepdim=True),
    "a clamp to -1 and 1": lambda x: x.clamp(-1, 1),
    "a clamp to 0 and 1": lambda x: x.clamp(0, 1),
    "its sign": torch.sign,
}


def functions() -> Iterator[Transform]:
    """Functions of each number, or of each row."""
    for name, function in FUNCTIONS.items():
        yield Transform(f"through {name}", function)


def roundings() -> Iterator[Transform]:
    """Rounding to each half precision."""
    for name, (dtype, _) in HALVES.items():
        yield Transform(f"rounded to {name}", partial(lambda dtype, x: x.to(dtype).to(x.dtype), dtype))


def fitted(x: Tensor, given: Tensor, sizes: Iterable[int]) -> Iterator[Transform]:
    """The scale or offset that brings `x` nearest to `given`; none for tensors of a few elements."""
    if x.shape != given.shape or x.numel() < ENOUGH or not bool(x.isfinite().all() and given.isfinite().all()):
        return
    factor = nearest_factor(x, given)
    if abs(factor) > LEAST:
        yield Transform(f"scaled by {named(factor, sizes)}", lambda x: x * factor)
    offset = float((given - x).mean())
    yield Transform(f"with {offset:.6g} added", lambda x: x + offset)
    yield from _affine(x, given, sizes)
    yield from _limited(x, given)
    yield from _without_some(x, given)


def _affine(x: Tensor, given: Tensor, sizes: Iterable[int]) -> Iterator[Transform]:
    """The line that brings `x` nearest to `given`."""
    middle, aim = x.mean(), given.mean()
    slope = nearest_factor(x - middle, given - aim)
    offset = float(aim - slope * middle)
    if x.numel() >= 2 * ENOUGH and min(abs(slope), abs(offset)) > LEAST:
        yield Transform(f"scaled by {named(slope, sizes)} and with {offset:.6g} added", lambda x: x * slope + offset)


def _limited(x: Tensor, given: Tensor) -> Iterator[Transform]:
    """Clipped to the ends of what is given, where several numbers are that end."""
    low, high = float(given.min()), float(given.max())
    ends = {}
    if high < float(x.max()) and int((given == high).sum()) >= SEVERAL:
        ends["max"] = high
    if low > float(x.min()) and int((given == low).sum()) >= SEVERAL:
        ends["min"] = low
    words = " and ".join(f"{'at most' if end == 'max' else 'at least'} {number:.6g}" for end, number in ends.items())
    if ends:
        yield Transform(f"limited to {words}", partial(torch.clamp, **ends))


def _without_some(x: Tensor, given: Tensor) -> Iterator[Transform]:
    """Zeros for the numbers, or the sizes, below some limit."""
    gone, kept = (given == 0) & (x != 0), given != 0
    if min(int(gone.sum()), int(kept.sum())) < SEVERAL:
        return
    for words, size in (("numbers", lambda x: x), ("sizes", torch.abs)):
        limit = float(size(x)[gone].max())
        if limit < float(size(x)[kept].min()):
            phrase = f"with zeros for the {words} below some limit"
            yield Transform(phrase, partial(lambda size, limit, x: torch.where(size(x) > limit, x, 0.0), size, limit))


def nearest_factor(x: Tensor, given: Tensor) -> float:
    """The factor by which `x` comes nearest to `given`; 0 for a tensor of zeros."""
    squares = float(x.square().sum())
    return float((x * given).sum()) / squares if squares else 0.0
