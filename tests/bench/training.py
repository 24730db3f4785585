"""How fast training is: `python -m tests.bench.training [laptop|paper|cost|memory|loading] [--plot FILE]`.

An update is forward and backward pass and MinTrustLAMB, on segments with carried state and a full memory, under paper
semantics. `laptop` and `paper` time the update of an accelerated model, as `sharnn_py.fast.choose` finds it fastest,
against the plain statement of the model (`tests/bench/plain.py`) with torch's own number of threads and with one; the
faster of these two counts. Ratios are of medians by the clock, in turn; "at least" says what is asked, and the exit
status is 1 if one falls short. `cost` is the time of an update against the steps T, the memory N and the width H, with
the exponent of its growth; `memory` what one holds, by token; `loading` the share that reading the text takes.
Without a part all are measured.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from sharnn_py import PAPER, SHARNN, Config, LayerState, State, nll, paper_lamb
from sharnn_py.fast import accelerated, choose
from sharnn_py.trainer.columns import Columns
from tests.bench import plain
from tests.bench.peak import peak
from tests.bench.timing import medians

LAPTOP = Config(vocab=256, emb=192, hidden=768, layers=3, max_memory=512, semantics=PAPER)
LARGE = Config(vocab=256, emb=1024, hidden=4096, layers=4, max_memory=5000, semantics=PAPER)
SIZES = {
    "laptop": {"B 16, T 128": (LAPTOP, 16, 128), "B 64, T 128": (LAPTOP, 64, 128)},
    "paper": {"B 8, T 64": (LARGE, 8, 64)},
}
ASKED = {"laptop": 1.3, "paper": 1.1}
ROUNDS = {"laptop": 7, "paper": 3}
COST = {"T": (32, 64, 128, 256, 512), "N": (0, 512, 1024, 2048, 4096), "H": (96, 192, 384, 768)}
"""What is varied, the rest being as in the laptop's B 16, T 128; "N" 0 stands for a memory of one row."""
LENGTHS = (64, 128, 256, 512)
"""Segments whose memory is measured."""
Update = Callable[[], object]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.training")
    parts = ["laptop", "paper", "cost", "memory", "loading"]
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="|".join(parts))
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture of the cost, by matplotlib")
    given = parser.parse_args(arguments)
    console, good = Console(width=110), True
    for part in given.parts or parts:
        if part in SIZES:
            table = Table(f"an update, {part}", "plain / fast", "at least", "", box=None)
            for name, ratio, within, way in ratios(part):
                table.add_row(f"{name}; {way}", f"{ratio:.2f}", f"{ASKED[part]:g}", "yes" if within else "NO")
                good = good and within
        elif part == "cost":
            found = costs()
            table = Table("cost", "seconds an update", "exponent", box=None)
            for varied, times in found.items():
                listed = ", ".join(f"{size}: {taken:.3f}" for size, taken in times.items())
                table.add_row(varied, listed, f"{exponent(times):.2f}")
            if given.plot:
                draw(found, given.plot)
        elif part == "memory":
            table = Table("memory", *(f"T {steps}" for steps in LENGTHS), box=None)
            for way, peaks in memory().items():
                table.add_row(f"{way}, kB a token", *(f"{kilobytes:.0f}" for kilobytes in peaks))
        else:
            table = Table("loading", f"{100 * loading():.2g}% of an update", box=None)
        console.print(table, "")
    return 0 if good else 1


def random_segment(config: Config, batch: int, steps: int) -> tuple[torch.Tensor, State]:
    """Tokens (T, B), and a state whose memory is full."""
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, config.vocab, (steps, batch), generator=draw)
    zero = State.zeros(config, batch)
    memory = torch.randn(config.max_memory, batch, config.emb, generator=draw)
    layers = [LayerState(s.h, s.c, memory if config.attends(i) else s.memory) for i, s in enumerate(zero.layers)]
    return tokens, State(tuple(layers))


def fast_update(model: SHARNN, batch: int, steps: int) -> Update:
    """An update of an accelerated model, which carries its state."""
    tokens, state = random_segment(model.config, batch, steps)
    targets, optimizer = tokens.roll(-1, 0), paper_lamb(model, lr=1e-4)

    def update() -> None:
        nonlocal state
        logits, state = model(tokens, state)
        nll(logits, targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return update


def plain_update(model: SHARNN, batch: int, steps: int) -> Update:
    """The same of the plain statement, always on the same full memory."""
    tokens, state = random_segment(model.config, batch, steps)
    targets, optimizer, norms = tokens.roll(-1, 0), paper_lamb(model, lr=1e-4), plain.norms(model)
    (attending,) = model.config.attention_layers
    # The port keeps N rows at most with the segment's own in `paper`: it attends to N - T rows of memory where T < N.
    memory = state.layers[attending].memory[max(0, min(steps, model.config.max_memory)) :]

    def update() -> None:
        plain.forward(model, norms, tokens, targets, memory).backward()
        optimizer.step()
        optimizer.zero_grad()

    return update


def on(threads: int, function: Update) -> Update:
    """`function` with so many threads."""

    def run() -> None:
        torch.set_num_threads(threads)
        function()

    return run


def ratios(part: str) -> Iterator[tuple[str, float, bool, str]]:
    """Name, ratio, whether it is what is asked, and how the fast update was computed."""
    threads = torch.get_num_threads()
    for name, (config, batch, steps) in SIZES[part].items():
        model = SHARNN(config, torch.Generator().manual_seed(0))
        choice = choose(model, batch, steps)
        fast = accelerated(copy.deepcopy(model), choice.precision)
        ways = {"fast": on(choice.threads, fast_update(fast, batch, steps))}
        for count in {1, threads}:
            ways[f"plain {count}"] = on(count, plain_update(copy.deepcopy(model), batch, steps))
        times = medians(ways, ROUNDS[part], time.perf_counter)
        torch.set_num_threads(threads)
        ratio = min(taken for way, taken in times.items() if way != "fast") / times["fast"]
        yield name, ratio, ratio >= ASKED[part], f"{choice.precision}, threads {choice.threads} of {threads}"


def costs() -> dict[str, dict[int, float]]:
    """Seconds of an update by what is varied and its size."""
    found: dict[str, dict[int, float]] = {}
    for varied, values in COST.items():
        updates = {}
        for value in values:
            emb = value if varied == "H" else LAPTOP.emb
            rows = max(value, 1) if varied == "N" else LAPTOP.max_memory
            config = Config(**{**LAPTOP.__dict__, "emb": emb, "hidden": 4 * emb, "max_memory": rows})
            model = SHARNN(config, torch.Generator().manual_seed(0))
            steps = value if varied == "T" else 128
            if not found and value == values[0]:
                choice = choose(model, 16, 128)
            updates[str(value)] = fast_update(accelerated(model, choice.precision), 16, steps)
        threads = torch.get_num_threads()
        torch.set_num_threads(choice.threads)
        found[varied] = {int(value): taken for value, taken in medians(updates, 3, time.perf_counter).items()}
        torch.set_num_threads(threads)
    return found


def exponent(times: dict[int, float]) -> float:
    """e of the growth size ** e that fits the upper half of the sizes best."""
    upper = [(math.log(size), math.log(taken)) for size, taken in sorted(times.items()) if size][-3:]
    return statistics.linear_regression(*zip(*upper, strict=True)).slope


def draw(found: dict[str, dict[int, float]], path: Path) -> None:
    """One picture for each of T, N and H: seconds an update, both axes from zero, so that what is linear looks it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(found), 3.2), layout="constrained")
    for axes, (varied, times) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        axes.plot(list(times), list(times.values()), marker="o")
        axes.set(xlabel=varied, ylabel="seconds an update", title=f"exponent {exponent(times):.2f}")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    figure.savefig(path)


def memory() -> dict[str, list[float]]:
    """kB that an update holds at most, beyond the model and a full memory, for each token of a segment of B 16."""
    return {
        way: [peak(way, steps) / steps / 16 / 1e3 for steps in LENGTHS]
        for way in ("plain", "float32", "bf16", "recompute")
    }


def loading() -> float:
    """The share of an update's time that the trainer's loader takes."""
    columns = Columns(torch.zeros(4_000_000, dtype=torch.uint8), 16, 128, None, 0)
    update = fast_update(accelerated(SHARNN(LAPTOP, torch.Generator().manual_seed(0))), 16, 128)
    times = medians({"load": columns.take, "update": update}, 7)
    return times["load"] / times["update"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
