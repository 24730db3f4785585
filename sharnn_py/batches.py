"""From a stream of token ids to batches of segments, cut as by SHA-RNN.jl's `TextData` and Smerity's `get_batch`.

Faults of SHA-RNN.jl that are not copied (docs/semantics.md, "Data"): `maxsize` keeping one token too many,
`batchmajor` slicing the batch axis, a BoundsError when bptt reaches past the data, segments of no steps.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat

import torch
from torch import Tensor

from sharnn_py.errors import ConfigError, InputError


def lay_out(stream: Iterable[int] | Tensor, batch: int, *, max_size: int | None = None) -> Tensor:
    """`stream` cut into B = `batch` contiguous pieces, one per column, int64 (steps, B); the remainder is dropped.

    A tensor (tokens,) keeps its type. Reads at most `max_size` tokens. Raises `InputError` if that leaves fewer than
    two steps, the least that give an input and a target; `ConfigError` for a batch below 1.
    """
    if batch < 1:
        raise ConfigError(f"batch is {batch}; it must be at least 1")
    if isinstance(stream, Tensor):
        ids = stream[:max_size]
    else:
        ids = torch.tensor(list(islice(stream, max_size)), dtype=torch.int64)
    steps = len(ids) // batch
    if steps < 2:
        raise InputError(f"{len(ids)} tokens in {batch} sequences leave {steps} steps each; at least 2 are needed")
    return ids[: steps * batch].reshape(batch, steps).T.contiguous()


def segments(data: Tensor, lengths: int | Iterable[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Successive segments of `data` (steps, B): inputs and targets, each (T, B), the targets one step ahead.

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
    """An endless stream of random segment lengths, by the rule of `program` (row 10 of docs/semantics.md).

    "julia": first `bptt`, then floor(Normal(mean, 5)) with mean bptt or, one time in 10, bptt div 2, but at least 1,
    where SHA-RNN.jl may make a segment of no steps. "paper": int(Normal(mean, 5)) with mean bptt or, one time in 20,
    bptt / 2, at least 5 and at most bptt. Raises `ConfigError` for another program or a bptt below 1.
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
