"""The runs of one subject side by side, tensor by tensor."""

from collections.abc import Iterator, Sequence

import torch

from parity.subject.subject import TracedTensor
from sharnn_py.errors import InputError


def in_step(
    exact: Sequence[Iterator[TracedTensor]], single: Iterator[TracedTensor], format: torch.dtype
) -> Iterator[tuple[list[TracedTensor], TracedTensor]]:
    """Every tensor of the runs in float64, in their order, with that of the run in `format`.

    In half precision a module may do what it does not do in float64, such as to limit what float16 cannot hold; what
    only one of the two computes is left out. Raises `InputError` where runs in float64 differ in what they compute, or
    the run in float32 from them.
    """
    ahead: dict[str, TracedTensor] = {}
    for tensors in zip(*exact, strict=True):
        truth, *others = tensors
        if format == torch.float32:
            found = next(single, None)
            if found is None:
                raise InputError(f"the run in float32 ends before {truth.name}")
            others.append(found)
        else:
            found = _found(truth, single, ahead)
        for other in others:
            if other.name != truth.name:
                raise InputError(f"one run computes {other.name} where another computes {truth.name}")
        if found is not None:
            yield list(tensors), found
    if format == torch.float32 and (more := next(single, None)) is not None:
        raise InputError(f"the run in float32 goes on with {more.name}, where those in float64 end")


def _found(truth: TracedTensor, single: Iterator[TracedTensor], ahead: dict[str, TracedTensor]) -> TracedTensor | None:
    """The tensor of this name in `single`, which is read on no further than the segment; `ahead` is what was read."""
    if truth.name in ahead:
        return ahead.pop(truth.name)
    for tensor in single:
        if tensor.name == truth.name:
            return tensor
        ahead[tensor.name] = tensor
        if (tensor.parts.index or 0) > (truth.parts.index or 0):
            break
    return None
