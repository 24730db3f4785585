"""How often the check refuses a right export, and how often it sees a stored tensor that is wrong by a five-hundredth.

    python -m tests.bench.export_check [EXPORTS] [FAULTY]

exports random models of both semantics, many of them with strongly scaled weights, and checks them; of the first
FAULTY, every stored tensor is scaled by 1.002 as well, one at a time. Takes some seconds a model.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import export.exporter
from export import check_export, export_checkpoint
from export.check import by_pytorch, compare
from export.fold import fold
from export.replicas import truth_and_replicas
from export.serving.session import Session
from sharnn_py import JULIA, PAPER, SHARNN, Config, load_checkpoint, save_checkpoint


def random_model(seed: int) -> SHARNN:
    """A small model whose parameters are up to five times as large, each tensor by a factor of its own, or as small."""
    draw = np.random.default_rng(seed)
    heads, layers = int(draw.choice([1, 1, 2, 3, 4])), int(draw.integers(1, 5))
    emb = max(heads * int(draw.integers(2, 9)), 2)
    config = Config(
        vocab=int(draw.integers(3, 60)),
        emb=emb,
        hidden=emb * int(draw.integers(1, min(5, emb) + 1)),
        layers=layers,
        heads=heads,
        max_memory=int(draw.choice([1, 2, 3, 6, 9, 17, 40])),
        tied=bool(draw.random() < 0.6),
        attention_layers=tuple(i for i in range(layers) if draw.random() < 0.6) if draw.random() < 0.8 else None,
        semantics=JULIA if draw.random() < 0.5 else PAPER,
    )
    generator = torch.Generator().manual_seed(seed)
    model = SHARNN(config, generator).eval()
    strength = np.log(1 + draw.choice([0.3, 1, 2, 4]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
            parameter.mul_(float(np.exp(strength * draw.uniform(-1, 1))))
    return model


def shares(folder: Path) -> list[float]:
    """Of everything that the check compares, how much of what is allowed an export uses."""
    rows = check_export(folder).rows
    return [share for row in rows for share in (row.rms / row.allowed_rms, row.largest / row.allowed_largest)]


def seen_faults(checkpoint: Path, scratch: Path) -> list[bool]:
    """For every stored tensor, whether the check sees it scaled by 1.002."""
    model = load_checkpoint(checkpoint).model
    assert isinstance(model, SHARNN)
    replicas = list(truth_and_replicas(model, torch.float32))
    replayed = {stepwise: list(by_pytorch(replicas, stepwise)) for stepwise in (False, True)}
    parameters = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    seen = []
    for name in fold(parameters, model.config):

        def faulty(parameters, config, name=name):  # type: ignore[no-untyped-def]
            folded = fold(parameters, config)
            return {**folded, name: folded[name] * 1.002}

        export.exporter.fold = faulty
        export_checkpoint(checkpoint, scratch / "faulty")
        export.exporter.fold = fold
        sessions = {"": Session.load(scratch / "faulty", threads=1)}
        seen.append(not compare(sessions, torch.float32, replayed).passed)
    return seen


def main(exports: int = 300, faulty: int = 12) -> None:
    torch.set_num_threads(1)
    used: list[float] = []
    refused: list[int] = []
    seen: list[bool] = []
    for seed in range(exports):
        with tempfile.TemporaryDirectory() as name:
            checkpoint, folder = Path(name, "checkpoint"), Path(name, "export")
            save_checkpoint(random_model(seed), checkpoint)
            export_checkpoint(checkpoint, folder)
            found = shares(folder)
            used += found
            refused += [seed] * (max(found) > 1)
            if seed < faulty:
                seen += seen_faults(checkpoint, Path(name))
        if seed + 1 in (faulty, exports) or not (seed + 1) % 50:
            report(seed + 1, refused, used, seen)


def report(exports: int, refused: list[int], used: list[float], seen: list[bool]) -> None:
    """Print what was found. The share that a run uses by chance is Student's t, whose tail falls with the 8th power."""
    high = float(np.quantile(used, 0.999))
    beyond = 0.001 * high**8 * len(used) / exports
    print(
        f"{exports} exports: {len(refused)} refused {refused or ''}; of what is allowed they use {np.median(used):.3f} "
        f"in the median, {high:.3f} in 99.9% of {len(used):,} comparisons, {max(used):.3f} at most; by the tail of the "
        f"distribution, one export in {1 / beyond:,.0f} would be refused; {sum(seen)} of {len(seen)} faults seen",
        flush=True,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
