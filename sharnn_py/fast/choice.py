"""How a model is trained fastest on this machine: measured, in a few seconds, before a run.

What a processor has (bfloat16 instructions, cores that are free) is not to be read off its name: small steps can be
slower on two threads than on one, and bfloat16 slower than float32.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from sharnn_py.baseline import Baseline
from sharnn_py.config import require_positive
from sharnn_py.fast.accelerated import accelerated
from sharnn_py.fast.precision import Precision, autocast
from sharnn_py.model import SHARNN, nll
from sharnn_py.state import LayerState, State

ROUNDS = 5
"""How often each way is timed, in turn; the shortest time counts, as other programs only ever lengthen it."""
ENOUGH = 3
"""So often they are timed even where that takes longer than was asked."""
HOPELESS = 5.0
"""What takes as many times as long as the best is not timed again."""
LEAST = 16
"""Fewer steps are not timed, if a segment has as many: what a segment costs whatever its length would count for more
than its steps."""
FEWER_THREADS = 0.95
"""More threads are taken if they need at most this fraction of the time that fewer need."""
BF16 = 1 / 1.1
"""bfloat16 is taken if it needs at most this fraction of the time that float32 needs."""


@dataclass(frozen=True)
class Timing:
    """How long an update takes one way."""

    precision: Precision
    """What the products are computed in."""
    threads: int
    """Torch's threads, `torch.set_num_threads`."""
    seconds: float
    """By the clock, for the forward and backward pass of `Choice.steps` steps with a full memory."""


@dataclass(frozen=True)
class Choice:
    """The fastest way that `choose` found, and all that it measured."""

    precision: Precision
    """For `accelerated`."""
    threads: int
    """For `torch.set_num_threads`."""
    steps: int
    """How many steps were timed: the segment's, or fewer where a segment takes long."""
    timings: tuple[Timing, ...]
    """Every way that was tried, in the order in which they were."""

    @property
    def sentence(self) -> str:
        """For people: `bf16 on 2 threads: 61 ms for 128 steps; float32 82 ms`."""
        chosen = self.timing(self.precision)
        others = [self.timing(p) for p in dict.fromkeys(t.precision for t in self.timings) if p != self.precision]
        rest = "".join(f"; {_way(t, chosen.threads)} {_duration(t.seconds)}" for t in others)
        return f"{_way(chosen)}: {_duration(chosen.seconds)} for {self.steps} steps{rest}"

    def timing(self, precision: Precision) -> Timing:
        """The best timing of one precision. Raises `KeyError` if it was not tried."""
        tried = [timing for timing in self.timings if timing.precision == precision]
        if not tried:
            raise KeyError(precision)
        return _best(tried)


def choose(
    model: SHARNN | Baseline,
    batch: int,
    steps: int,
    *,
    precisions: Sequence[Precision] = ("float32", "bf16"),
    threads: Sequence[int] | None = None,
    seconds: float = 4.0,
) -> Choice:
    """Time the forward and backward pass of a copy of `model`, and say which way is fastest.

    `batch` sequences of `steps` tokens are a segment; `precisions` and `threads` are the candidates, the latter without
    `threads` 1, 2, 4 and so on up to what torch would take. bfloat16 is chosen only if it is a tenth faster than
    float32. It takes about `seconds`, longer only where 16 steps do: where segments take long, fewer of their steps are
    timed, and what takes several times as long as another way is timed once. The model, torch's threads and its random
    state are left as they were. A run that is to be repeated bit for bit keeps its choice rather than choosing again.
    Raises `ConfigError` for a batch, steps or threads below 1.
    """
    threads = tuple(threads or _powers_of_two(torch.get_num_threads()))
    require_positive(_Sizes(batch, steps, min(threads)), "batch", "steps", "threads")
    ways = [(precision, count) for count in threads for precision in precisions]
    end = time.perf_counter() + seconds
    with _left_as_it_was():
        trial = _Trial(model, batch)
        length = trial.affordable(steps, seconds / len(ways) / (ROUNDS + 1), ways[0])
        for way in ways:
            trial.seconds(min(LEAST, steps), *way)  # to warm up: oneDNN compiles its kernels when first used
        times = {way: [trial.seconds(length, *way)] for way in ways}
        for turn in range(1, ROUNDS):
            best = min(min(taken) for taken in times.values())
            for way, taken in times.items():
                if taken[0] < HOPELESS * best and (turn < ENOUGH or time.perf_counter() < end):
                    taken.append(trial.seconds(length, *way))
    timings = tuple(Timing(*way, min(taken)) for way, taken in times.items())
    best_of = {precision: _best([t for t in timings if t.precision == precision]) for precision in precisions}
    chosen = best_of[precisions[0]]
    if "bf16" in best_of and best_of["bf16"].seconds <= BF16 * chosen.seconds:
        chosen = best_of["bf16"]
    return Choice(chosen.precision, chosen.threads, length, timings)


@dataclass(frozen=True)
class _Sizes:
    batch: int
    steps: int
    threads: int


class _Trial:
    """A copy of a model, with its memory full."""

    def __init__(self, model: SHARNN | Baseline, batch: int) -> None:
        self.model = copy.deepcopy(model).train()
        self.batch = batch
        self.device = next(model.parameters()).device
        self.state = None if isinstance(model, Baseline) else _full(model, batch)

    def seconds(self, steps: int, precision: Precision, threads: int) -> float:
        """What one forward and backward pass takes."""
        torch.set_num_threads(threads)
        accelerated(self.model, precision)
        tokens = torch.arange(steps * self.batch).remainder(self.model.config.vocab).view(steps, self.batch)
        tokens, device = tokens.to(self.device), self.device
        start = time.perf_counter()
        with autocast(device, precision):
            loss: Tensor = nll(self.model(tokens, self.state)[0], tokens)
        loss.backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken = time.perf_counter() - start
        self.model.zero_grad()
        return taken

    def affordable(self, steps: int, seconds: float, way: tuple[Precision, int]) -> int:
        """The most steps, doubled from `LEAST` on, that take at most `seconds`; never more than `steps`."""
        length = min(LEAST, steps)
        self.seconds(length, *way)  # to warm up
        while length < steps and 2 * self.seconds(length, *way) <= seconds:
            length = min(2 * length, steps)
        return length


def _full(model: SHARNN, batch: int) -> State:
    """A state with as many memory rows as it ever has."""
    config, like = model.config, model.encoder.weight.detach()
    draw = torch.Generator().manual_seed(0)
    h = torch.zeros(batch, config.emb).to(like)
    rows = [config.max_memory if config.attends(i) else 0 for i in range(config.layers)]
    memories = [torch.randn(count, batch, config.emb, generator=draw).to(like) for count in rows]
    return State(tuple(LayerState(h, h, memory) for memory in memories))


def _best(timings: Sequence[Timing]) -> Timing:
    """The fastest, or one of fewer threads that takes hardly longer."""
    best = timings[0]
    for timing in sorted(timings, key=lambda timing: timing.threads):
        if timing.threads < best.threads or timing.seconds <= FEWER_THREADS * best.seconds:
            best = timing
    return best


def _powers_of_two(most: int) -> Iterator[int]:
    count = 1
    while count < most:
        yield count
        count *= 2
    yield most


@contextmanager
def _left_as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _way(timing: Timing, apart_from: int | None = None) -> str:
    if timing.threads == apart_from:
        return timing.precision
    return f"{timing.precision} on {timing.threads} thread{'s' if timing.threads > 1 else ''}"


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
