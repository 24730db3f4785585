"""How fast and how large serving is: `python -m tests.bench.serving [small|paper] [cuda]`, by default both sizes here.

Every line is a ratio of medians measured in one process, back ends in turn, on one thread, by process time (on a GPU
by the clock); "at least" says what is asked of it, and the exit status is 1 if one falls short.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from export import Session, export_checkpoint
from export.graph.small_weights import SmallWeights
from sharnn_py import SHARNN, TorchSession, save_checkpoint
from sharnn_py.memory import most_keys_of_a_step
from tests.bench import contenders
from tests.bench.contenders import BYTES, SIZES, Step, agree, random_state
from tests.bench.footprint import megabytes_to_serve
from tests.bench.timing import medians

STEPS = {"small": 40, "paper": 4}  # a sample is of so many
SMALL: tuple[SmallWeights, ...] = ("int8", "int4")
FASTER = {"int8": {0: 2.8, 1000: 2.4}, "int4": {0: 4.0, 1000: 1.0}}
"""Times float32, asked of small weights, by the rows of the memory; 1 where only the figure is of interest."""
ROUNDS = 9
SLOW_ROUNDS = 7
Row = tuple[str, float, float]
"""What, ratio, and the least that is asked."""


def main(arguments: list[str]) -> int:
    torch.set_num_threads(1)
    device = "cuda" if "cuda" in arguments else "cpu"
    good = True
    for size in [name for name in SIZES if name in arguments] or SIZES:
        table = Table(size, "ratio", "at least", "", box=None)
        with tempfile.TemporaryDirectory() as folder:
            model = SHARNN(SIZES[size], torch.Generator().manual_seed(0)).eval()
            save_checkpoint(model, Path(folder) / "checkpoint", BYTES)
            export_checkpoint(Path(folder) / "checkpoint", Path(folder) / "export", int8=device == "cpu")
            if device == "cpu":
                for weights in SMALL:
                    export_checkpoint(Path(folder) / "checkpoint", Path(folder) / weights, weights=weights)
            rows = on_cpu(Path(folder) / "export", model, size) if device == "cpu" else on_cuda(folder, model, size)
            for what, ratio, least in rows:
                within = ratio >= least
                table.add_row(what, f"{ratio:.2f}", f"{least:g}", "yes" if within else "NO")
                print(f"  {what}: {ratio:.2f}", file=sys.stderr, flush=True)
                good = good and within
        Console(width=120).print(table)
    return 0 if good else 1


def on_cpu(folder: Path, model: SHARNN, size: str) -> Iterator[Row]:
    for batch, rows, times in ((1, 0, 1.3), (1, 1000, 1.3), (8, 5000, 1.5)):
        yield from decode(folder, model, size, batch, rows, times)
    for batch, times in ((1, 1.4), (8, 1.8)):
        yield ring(folder, model, size, batch, times)
    yield from weights_once(folder, model, size)
    yield from prefill(folder, model, size)
    used, allowed = megabytes_to_serve(folder)
    yield f"memory of a serving process: {allowed:.0f} MB allowed / {used:.0f} MB used", allowed / used, 1.0


def decode(folder: Path, model: SHARNN, size: str, batch: int, rows: int, times: float) -> Iterator[Row]:
    layers = random_state(model, batch, rows)
    slots = slots_for(model, rows)
    steps = {
        "ours": contenders.exported(folder, layers),
        "eager": contenders.eager(model, layers),
        "decomposed": contenders.decomposed(model, layers, slots, compiled=False),
        "compiled": contenders.decomposed(model, layers, slots, compiled=True),
        "openvino": contenders.openvino(folder, model, layers, slots),
    }
    agree(steps, model, batch)
    if batch == 1:
        steps["int8"] = contenders.exported(folder, layers, precision="int8")
        steps["openvino bf16"] = contenders.openvino(folder, model, layers, slots, "bf16")
        for weights in SMALL:
            small = folder.parent / weights
            steps[f"{weights} weights"] = contenders.exported(small, layers)
            steps[f"openvino {weights}"] = contenders.openvino(small, model, layers, slots)
    taken = medians({name: sample(step, batch, size) for name, step in steps.items()}, ROUNDS)
    where, ours = f"decode, B={batch}, M={rows}", taken["ours"]
    best = min(taken["decomposed"], taken["compiled"])
    yield f"{where} ({ours / STEPS[size] * 1e3:.2f} ms): best PyTorch / ours", best / ours, times
    yield f"{where}: eager nn.LSTM / ours", taken["eager"] / ours, 4.0 if batch == 1 else 1.0
    yield f"{where}: OpenVINO / ours", taken["openvino"] / ours, 1.0
    if batch == 1:
        yield f"{where}: float32 / int8", ours / taken["int8"], 2.5
        for weights in SMALL:
            yield f"{where}: float32 / {weights} weights", ours / taken[f"{weights} weights"], FASTER[weights][rows]
        others = {name: taken[name] for name in taken if name.startswith("openvino")}
        best = min(others, key=others.__getitem__)
        ours_best = min(taken[f"{weights} weights"] for weights in SMALL)
        yield f"{where}: OpenVINO's best precision ({best}) / our best", others[best] / ours_best, 1.0
        yield f"{where}: OpenVINO with int8 weights / ours", taken["openvino int8"] / taken["int8 weights"], 1.0


def ring(folder: Path, model: SHARNN, size: str, batch: int, times: float) -> Row:
    layers = random_state(model, batch, 5000)
    steps = {"ring": contenders.exported(folder, layers), "copies": contenders.concatenating(folder, model, layers)}
    agree(steps, model, batch)
    taken = medians({name: sample(step, batch, size) for name, step in steps.items()}, ROUNDS)
    return f"decode, B={batch}, M=5000: concatenated memory / ring", taken["copies"] / taken["ring"], times


def weights_once(folder: Path, model: SHARNN, size: str) -> Iterator[Row]:
    """A float32 step against the fastest way found to touch each weight once: a sum, or a product with a vector."""
    file = np.memmap(folder / "weights.safetensors", np.uint8, "c")
    whole = torch.from_numpy(file[-(len(file) // 4096 * 4096) :].view(np.float32)).view(-1, 1024)
    vector = torch.ones(1024)
    step = contenders.exported(folder, random_state(model, 1, 0))
    repeats = STEPS[size]
    taken = medians(
        {
            "step": sample(step, 1, size),
            "sum": lambda: [whole.sum() for _ in range(repeats)],
            "product": lambda: [whole @ vector for _ in range(repeats)],
        },
        ROUNDS,
    )
    once = min(taken["sum"], taken["product"])
    yield f"reading the weights once ({once / repeats * 1e3:.2f} ms) / a step, M=0", once / taken["step"], 1 / 1.35


def prefill(folder: Path, model: SHARNN, size: str) -> Iterator[Row]:
    T = 1024
    a, b = torch.randn(4096, 1024), torch.randn(1024, 4096)

    def gemm() -> torch.Tensor:
        return a @ b

    for batch in (1, 8):
        tokens = np.random.default_rng(0).integers(model.config.vocab, size=(T, batch))
        ours, theirs = Session.load(folder, threads=1), TorchSession(model)
        small = {weights: Session.load(folder.parent / weights, threads=1) for weights in SMALL}
        for session in (ours, theirs, *small.values()):
            session.reset(batch)

        def plain(session: TorchSession = theirs, tokens: np.ndarray = tokens) -> None:
            with contenders.without_onednn():
                session.fork().prefill(tokens)

        taken = medians(
            {
                "ours": lambda ours=ours, tokens=tokens: ours.fork().prefill(tokens),
                "torch": lambda theirs=theirs, tokens=tokens: theirs.fork().prefill(tokens),
                "plain": plain,
                "gemm": gemm,
                **{
                    weights: lambda session=session, tokens=tokens: session.fork().prefill(tokens)
                    for weights, session in small.items()
                },
            },
            SLOW_ROUNDS,
        )
        best = min(taken["torch"], taken["plain"])
        for weights in SMALL:
            yield f"prefill, T=1024, B={batch}: float32 / {weights} weights", taken["ours"] / taken[weights], 0.8
        if batch == 1:
            yield "prefill, T=1024, B=1: PyTorch / ours", best / taken["ours"], 1.15
        else:
            yield "prefill, T=1024, B=8: PyTorch / ours", best / taken["ours"], 1.0
            seconds = taken["gemm"] / (4096 * 4096 * 1024) * multiplications(model, T, batch)
            yield (
                "prefill, T=1024, B=8: time of its products at the rate of a GEMM / ours",
                seconds / taken["ours"],
                0.8,
            )
        gc.collect()


def multiplications(model: SHARNN, T: int, batch: int) -> float:
    """Multiplications with weights and, in attention, with keys and values, of a first segment."""
    config = model.config
    H, F = config.emb, config.hidden
    attending = sum(config.attends(i) for i in range(config.layers))
    weights = config.layers * (8 * H * H + H * F) + attending * H * H + config.vocab * H
    return T * batch * (weights + attending * 2 * T * H)


def on_cuda(folder: str, model: SHARNN, size: str) -> Iterator[Row]:
    """The same table on a GPU, with CUDA graphs on and off. There is no OpenVINO and no int8 there."""
    export, model = Path(folder) / "export", model.cuda()
    half = Path(folder) / "half"
    export_checkpoint(Path(folder) / "checkpoint", half, precision="float16")
    for batch, rows in ((1, 0), (1, 1000), (8, 5000)):
        layers, slots = random_state(model, batch, rows), slots_for(model, rows)
        steps = {
            "ours": contenders.exported(export, layers, provider="cuda"),
            "graph": contenders.exported(export, layers, provider="cuda", cuda_graph=True),
            "float16": contenders.exported(half, layers, provider="cuda", cuda_graph=True),
            "eager": contenders.eager(model, layers, "cuda"),
            "decomposed": contenders.decomposed(model, layers, slots, compiled=False, device="cuda"),
            "compiled": contenders.decomposed(model, layers, slots, compiled=True, device="cuda"),
        }
        agree({name: step for name, step in steps.items() if name != "float16"}, model, batch)
        taken = medians({n: sample(step, batch, size) for n, step in steps.items()}, ROUNDS, time.perf_counter)
        best = min(taken[name] for name in ("eager", "decomposed", "compiled"))
        where = f"decode, B={batch}, M={rows}"
        yield f"{where} ({taken['ours'] / STEPS[size] * 1e3:.2f} ms): best PyTorch / ours", best / taken["ours"], 1.0
        yield f"{where}: best PyTorch / ours as a CUDA graph", best / taken["graph"], 1.0
        yield f"{where}: without / with a CUDA graph", taken["ours"] / taken["graph"], 1.0
        yield f"{where}: float32 / float16, as CUDA graphs", taken["graph"] / taken["float16"], 1.0


def slots_for(model: SHARNN, rows: int) -> int:
    """As many as our own ring takes for that many rows."""
    from export.serving.ring import bucket

    most = most_keys_of_a_step(model.config)
    return bucket(min(rows + 1, most), most, most)


def sample(step: Step, batch: int, size: str) -> Callable[[], None]:
    tokens = np.arange(batch, dtype=np.int64) + 3

    def run() -> None:
        for _ in range(STEPS[size]):
            step(tokens)

    return run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
