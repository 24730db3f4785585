"""Both programs' optimisers in Julia, first against their recordings, then beside the port for hundreds of updates."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from julia_bridge import Worker, ensure
from parity.recording.library import PACKAGED, discover
from parity.sharnn.training.case import Case, new_case
from parity.sharnn.training.compare import compare
from parity.sharnn.training.julia import julia_steps
from parity.sharnn.training.optimisers import recorded_updates
from parity.sharnn.training.results import TrainingParity, Trajectory
from parity.sharnn.training.words import OPTIMISERS
from sharnn_py.config import Program

CALL_LIMIT = 600.0
"""Seconds that one update may take in Julia; the first one compiles."""


def run(
    programs: Sequence[Program], updates: int, seed: int, text: Path | None, say: Callable[[str], None]
) -> TrainingParity:
    """Train beside Julia by the optimiser of each program, in float64 and in float32.

    Before that, Julia's optimisers are held against the packaged recordings of the same programs. `say` is told what is
    done. Raises `JuliaUnavailable`, `InputError` for a text that is too short, `OSError` for one that cannot be read.
    """
    began = time.perf_counter()
    ensure(say)
    with Worker(timeout=CALL_LIMIT) as worker:
        cases = [new_case(program, updates, seed, text, worker) for program in programs]
        say("Julia's optimisers against the recorded updates of both programs")
        recorded = [r for r in recorded_updates(discover(PACKAGED), worker) if r.program in programs]
        trajectories = [found for case in cases for found in _both_precisions(case, worker, say)]
        return TrainingParity(recorded, trajectories, _facts(cases[0], worker), time.perf_counter() - began)


def _both_precisions(case: Case, worker: Worker, say: Callable[[str], None]) -> list[Trajectory]:
    found: list[Trajectory] = []
    for dtype in (torch.float64, torch.float32):
        say(f"{case.updates:,} updates by {OPTIMISERS[case.program]} in {str(dtype).removeprefix('torch.')}")
        found.append(compare(case, julia_steps(case, dtype, worker), dtype, found[0] if found else None))
    return found


def _facts(case: Case, worker: Worker) -> dict[str, str]:
    s, config = case.settings, case.config
    return {
        "Julia runs": "the bridge's reference statement of the julia semantics, not SHA-RNN.jl, and its own gradients",
        "Julia": ", ".join(f"{name} {number}" for name, number in worker.versions.items()),
        "the port runs": "the updates of sharnn train, as it computes them on CPUs",
        "torch": torch.__version__,
        "model": f"julia's semantics, emb {s.emb}, hidden {s.hidden}, {s.layers} blocks, {s.heads} heads, memory of "
        f"{s.max_memory}, vocabulary of {config.vocab}, {sum(a.size for a in case.parameters.values()):,} parameters",
        "start": f"drawn in Julia as SHA-RNN.jl draws it, seed {s.seed}",
        "text": case.text,
        "batches": f"{s.batch} sequences, random lengths about {s.bptt} by SHA-RNN.jl's rule, seed {s.seed}",
        "schedule": f"rate {s.rate:g}, reached by warm-up after {s.warmup} updates, then constant",
    }
