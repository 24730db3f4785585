"""From a stream of token ids to batches of segments, as SHA-RNN.jl's `TextData` and Smerity's `get_batch` cut them.

Faults of SHA-RNN.jl that are not copied (docs/semantics.md, "Data"): `maxsize` keeping one token too many,
`batchmajor` slicing the batch axis, a BoundsError when bptt reaches past the data, segments of no steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat

import torch
from torch import Tensor

from sharnn_py.errors import ConfigError, InputError


def lay_out(stream: Iterable[int], batch: int, *, max_size: int | None = None) -> Tensor:
    """The stream as `batch` contiguous pieces, one a column, the remainder dropped. int64, (steps, B).

    Reads at most `max_size` tokens. Raises `InputError` if that leaves fewer than two steps, the least that has
    an input and a target.
    """
    if batch < 1:
        raise ConfigError(f"batch is {batch}; it must be at least 1")
    ids = torch.tensor(list(islice(stream, max_size)), dtype=torch.int64)
    steps = len(ids) // batch
    if steps < 2:
        raise InputError(f"{len(ids)} tokens in {batch} sequences leave {steps} steps each; at least 2 are needed")
    return ids[: steps * batch].reshape(batch, steps).T.contiguous()


def segments(data: Tensor, lengths: int | Iterable[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets, each (T, B), of successive segments of `data` (steps, B); targets are one step ahead.

    `lengths` is every segment's T, or an iterable of them (`random_lengths`). The last segment is as long as the
    data allows. Raises `ConfigError` for a length below 1.
    """
    start, last = 0, data.shape[0] - 1
    for length in repeat(lengths) if isinstance(lengths, int) else lengths:
        if length < 1:
            raise ConfigError(f"a segment length is {length}; it must be at least 1")
        stop = min(start + length, last)
        yield data[start:stop], data[start + 1 : stop + 1]
        start = stop
        if start == last:
            return


def random_lengths(bptt: int, program: str, generator: torch.Generator) -> Iterator[int]:
    """Endless random segment lengths, by the rule of either program (row 10 of docs/semantics.md).

    julia: `bptt` first, then floor(Normal(bptt, or 1 time in 10 bptt div 2; 5)); where that is below 1, at which
    SHA-RNN.jl would make a segment of no steps, 1. paper: int(Normal(bptt, or 1 time in 20 bptt / 2; 5)), at
    least 5 and at most bptt.
    """
    if bptt < 1:
        raise ConfigError(f"bptt is {bptt}; it must be at least 1")
    rules: dict[str, Callable[[], int]] = {
        "julia": lambda: max(1, int(_normal(bptt // 2 if _chance(0.1, generator) else bptt, generator) // 1)),
        "paper": lambda: min(bptt, max(5, int(_normal(bptt / 2 if _chance(0.05, generator) else bptt, generator)))),
    }
    if program not in rules:
        raise ConfigError(f"program is {program!r}; it must be 'julia' or 'paper'")
    if program == "julia":
        yield bptt
    while True:
        yield rules[program]()


def _chance(probability: float, generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < probability)


def _normal(mean: float, generator: torch.Generator) -> float:
    return mean + 5.0 * float(torch.randn((), dtype=torch.float64, generator=generator))
