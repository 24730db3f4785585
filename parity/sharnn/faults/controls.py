"""Controls: random cases in which there is no fault, to see whether the suite raises an alarm.

A case is a random model of either program, recorded by the port in float32: with its parameters nudged as in no run of
the suite, and with many of its functions computed in another way.
"""

import json
import random
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.faults.equivalent import other_way
from parity.sharnn.faults.plant import Edit, planted
from parity.sharnn.faults.results import Control
from parity.sharnn.header import model_config
from parity.sharnn.names import first_block
from parity.sharnn.random_model import random_model, random_segments, segment_lengths
from parity.sharnn.replay import replay
from parity.sharnn.suite import run_case
from parity.sharnn.updates import replay_training
from parity.subject.subject import RunMode
from parity.threads import one_thread
from sharnn_py.config import PRESETS, Program
from sharnn_py.weights import to_julia, to_smerity
from sharnn_py.weights.smerity import unused_shapes

NUDGE = 1000
"""The suite uses no nudged run from this number on."""
UPDATES = 3


@dataclass(frozen=True)
class RandomCase:
    """What is recorded, and how."""

    seed: int
    program: Program
    settings: dict[str, Any]
    """The recording's configuration."""
    gradients: bool
    updates: int
    changes: list[Edit]
    """The changes of the port for the time of recording."""

    @property
    def words(self) -> str:
        """Semantics and sizes, in words."""
        return f"{self.program}: " + ", ".join(f"{name} {value}" for name, value in self.settings.items())

    @property
    def way(self) -> str:
        """What is computed in another way."""
        return ", ".join(change.where.partition(":")[2] for change in self.changes)


def random_case(seed: int) -> RandomCase:
    """The case drawn from `seed`. Segments of one step, and as long as the memory or longer, are all likely."""
    draw = random.Random(seed)
    program: Program = draw.choice(("julia", "paper"))
    heads, layers, N = draw.choice((1, 1, 2, 3, 4)), draw.randint(1, 6), draw.choice((1, 3, 8, 12, 24))
    emb = max(4, heads * draw.choice((2, 4, 8)))
    lengths = segment_lengths(N)
    settings: dict[str, Any] = {
        "emb": emb,
        "hidden": emb * draw.randint(1, min(emb, 4)),
        "vocab": draw.choice((5, 11, 50)),
        "nlayers": layers,
        "npos": N,
        "heads": heads,
        "tie": draw.random() < 0.5,
        "batch": draw.randint(1, 5),
        "segs": [draw.choice(lengths) for _ in range(draw.randint(3, 5))],
    }
    if program == "paper":
        settings["hidden"] += draw.choice((0, draw.randrange(emb)))
        settings["attn_layer"] = draw.sample(range(layers), draw.randint(0, min(layers, 2)))
        settings |= {"lr": 0.002, "clip": 0.25, "weight_decay": 1.2e-6, "min_trust": 0.25, "betas": [0.9, 0.999]}
        settings["eps"] = 1e-6
    else:
        schedule = draw.choice(("warmup_constant", "warmup_cosine", "warmup_linear"))
        settings |= {"lr": draw.choice((0.05, 0.5)), "t_total": draw.choice((-1, 10, 100))}
        settings |= {"warmup": 0.15, "schedule": schedule}
    gradients, updates = draw.random() < 0.75, draw.choice((0, UPDATES))
    return RandomCase(seed, program, settings, gradients, updates, list(other_way(draw)))


@one_thread()
def record(case: RandomCase) -> Recording:
    """The case as the port computes it, in the format of docs/recordings.md."""
    tensors: dict[str, Tensor] = {}
    metadata = {"semantics": case.program, "config": json.dumps(case.settings)}
    recording = Recording(f"control/{case.seed}", contents=(tensors, metadata))
    given = _given(recording, case)
    tensors |= {**given, **_begun(case)}
    mode = RunMode(torch.float32, NUDGE + case.seed)
    with planted(*case.changes):
        for replayed in (replay, replay_training):
            for item in replayed(recording, PRESETS[case.program], mode):
                if item.reference not in given:
                    tensors[item.reference] = item.tensor.clone()
    return recording


def _given(recording: Recording, case: RandomCase) -> dict[str, Tensor]:
    """Parameters and ids."""
    config = model_config(recording, PRESETS[case.program])
    generator = torch.Generator().manual_seed(case.seed)
    ours = {name: parameter.detach() for name, parameter in random_model(config, generator).named_parameters()}
    unused: dict[str, Tensor] = {}
    if case.program == "paper":
        unused = {name: torch.zeros(shape) for name, shape in unused_shapes(config).items()}
    theirs = to_julia(ours, config) if case.program == "julia" else to_smerity(ours, config, unused)
    given = {f"param/{name}": tensor for name, tensor in theirs.items()}
    for update in range(1, case.updates + 1):
        given |= {f"train/{update}/param/{name}": tensor for name, tensor in unused.items()}
    first, batch = first_block(case.program), case.settings["batch"]
    segments = random_segments(config, case.settings["segs"], batch, generator)
    for segment, (tokens, targets) in enumerate(segments, start=1):
        pair = {"x": (tokens + first).int(), "y": (targets + first).int()}
        given |= {f"eval/{segment}/{name}": part for name, part in pair.items()}
        if case.program == "paper" and segment <= case.updates:
            given |= {f"train/{segment}/{name}": part for name, part in pair.items()}
    return given


def _begun(case: RandomCase) -> dict[str, Tensor]:
    """One tensor of every group that is to be computed: a recording that has one tensor of a group has all of them."""
    encoder = "encoder.w" if case.program == "julia" else "encoder.weight"
    names = [f"grad/{segment}/{encoder}" for segment in range(1, len(case.settings["segs"]) + 1) if case.gradients]
    names += [f"train/{update}/loss" for update in range(1, case.updates + 1)]
    if case.updates and case.program == "julia":
        names.append("train/loss_after")
    return {name: torch.zeros(()) for name in names}


def judge_control(seed: int) -> Control:
    """Record the case of `seed` and compare the port with it."""
    start = time.perf_counter()
    case = random_case(seed)
    result = run_case(record(case))
    alarms = tuple(c.name for c in result.divergences) or ((result.problem,) if result.problem else ())
    measured = [(m.units, c.name) for c in result.comparisons for m in (c.end_to_end, c.isolated) if m is not None]
    units, worst = max(measured, default=(0.0, ""))
    seconds = time.perf_counter() - start
    return Control(seed, case.words, case.way, len(result.comparisons), alarms, worst, units, seconds)
