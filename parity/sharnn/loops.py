"""The port's own loops over segments, `train` and `evaluate`, compared with what was recorded segment by segment.

Everything else of a recording is replayed a segment at a time by the suite, which carries the state itself; these show
that the loops that users call do the same.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from parity.recording.recording import Recording
from parity.sharnn.header import segment_count
from parity.sharnn.ids import pair
from parity.sharnn.port import Port, build
from parity.sharnn.updates import optimizer_of
from parity.subject.subject import RunMode, TracedTensor
from sharnn_py.config import Semantics
from sharnn_py.state import State
from sharnn_py.training import evaluate, train


def replay_loops(
    recording: Recording, semantics: Semantics, mode: RunMode, replayed: Mapping[str, Tensor]
) -> Iterator[TracedTensor]:
    """The stream of `evaluate/` and `loop/`. They run from beginning to end, so an isolated run has none.

    `replayed` is what the same run has replayed, by its recorded names. Rounding does to the loops what it does to the
    same segments one by one, so a nudged run does not run them.
    """
    if mode.isolated:
        return
    if mode.nudged:
        yield from _as_replayed(recording, replayed)
        return
    port = build(recording, semantics, mode)
    yield from _evaluated(port)
    if recording.count("train"):
        yield from _trained(port)


def _as_replayed(recording: Recording, replayed: Mapping[str, Tensor]) -> Iterator[TracedTensor]:
    last = f"train/{recording.count('train')}/param/"
    names = [(f"evaluate/{i}/loss", f"eval/{i}/loss") for i in range(1, segment_count(recording) + 1)]
    names += [(f"loop/{i}/loss", f"train/{i}/loss") for i in range(1, recording.count("train") + 1)]
    names += [(f"loop/param/{name.removeprefix(last)}", name) for name in replayed if name.startswith(last)]
    for name, recorded in names:
        yield TracedTensor(name, replayed[recorded], recorded=recorded, rounded_as=recorded)


def _evaluated(port: Port) -> Iterator[TracedTensor]:
    state: State | None = None
    for segment in range(1, segment_count(port.recording) + 1):
        with port.mode.arithmetic(f"evaluate {segment}"):
            loss, state = evaluate(port.model, [pair(port.recording, segment)], state)
        yield _loss(port, f"evaluate/{segment}/loss", f"eval/{segment}/loss", loss, f"evaluate(), segment {segment}")


def _trained(port: Port) -> Iterator[TracedTensor]:
    """One pass of `train` over the recorded updates, from the recorded parameters: its losses and what it ends with."""
    program, recording = port.program, port.recording
    updates = recording.count("train")
    source = "eval" if program == "julia" else "train"
    segments = [pair(recording, update, source) for update in range(1, updates + 1)]
    with port.mode.arithmetic("train()"):
        reports = train(port.model, segments, optimizer_of(port), report_every=1).reports
    for update, report in enumerate(reports, start=1):
        yield _loss(port, f"loop/{update}/loss", f"train/{update}/loss", report.loss, f"train(), update {update}")
    for name, tensor in port.parameters().items():
        recorded = f"train/{updates}/param/{name}"
        where = "train(), after the last update"
        yield TracedTensor(f"loop/param/{name}", tensor, where, recorded=recorded, rounded_as=recorded)


def _loss(port: Port, name: str, recorded: str, loss: float, where: str) -> TracedTensor:
    shape = port.recording.tensor(recorded).shape
    tensor = torch.tensor(loss, dtype=port.mode.dtype).reshape(shape)
    return TracedTensor(name, tensor, where, recorded=recorded, rounded_as=recorded)
