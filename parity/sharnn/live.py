"""Live cases: recordings made now, by running SHA-RNN in Julia.

A case is a configuration, parameters and segments. Run in Julia it becomes a recording like any other, which the suite
compares with the port; written to a file, `sharnn parity run --references` reads it.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from julia_bridge import JuliaModel, JuliaState, JuliaUnavailable, Worker, ensure
from julia_bridge.sharnn.model import Source
from julia_bridge.sharnn.upstream import UpstreamError, model_source
from parity.errors import RecordingError, UsageError
from parity.recording.recording import Recording
from parity.recording.writer import RecordingWriter
from parity.sharnn.header import header_sizes, model_config, program_of, segment_count
from parity.sharnn.ids import pair
from parity.sharnn.random_model import random_model, random_segments, segment_lengths
from sharnn_py import batches
from sharnn_py.checkpoint import load_checkpoint
from sharnn_py.config import JULIA, Config
from sharnn_py.model import SHARNN
from sharnn_py.weights import to_julia

Progress = Callable[[str], None]

RANDOM_SEEDS = tuple(range(5))
TEXT_SEGMENT, TEXT_SEGMENTS = 64, 4
"""Steps of a segment of text, and how many of them, where the user does not say."""
GRADIENTS_UP_TO = 5_000_000
"""The largest model, in parameters, whose gradients are recorded, too, where the source has them."""
CALL_LIMIT = 600.0
"""Seconds that one segment may take in Julia; the first one compiles."""


@dataclass(frozen=True)
class Case:
    """What Julia is asked to run."""

    name: str
    config: Config
    parameters: dict[str, Tensor]
    """Under SHA-RNN.jl's names, its axes reversed, float32."""
    segments: list[tuple[Tensor, Tensor]]
    """Inputs and targets (T, B), ids from 0, in order, state carried."""
    seed: int | None = None
    """The seed that a random case was drawn from."""


def random_case(seed: int, lengths: Sequence[int] | None = None) -> Case:
    """A case drawn from `seed`: sizes, parameters away from their special initial values, and ids.

    Segments shorter and longer than the memory, of one step, and just at the memory's limit are all likely.
    `lengths` fixes the segments' steps.
    """
    draw = random.Random(seed)
    heads = draw.choice([1, 1, 2, 3, 4])
    emb = heads * draw.choice([2, 4, 8])
    emb = max(emb, 4)
    N = draw.choice([1, 3, 8, 12, 24])
    config = Config(
        vocab=draw.choice([5, 11, 50]),
        emb=emb,
        hidden=emb * draw.randint(1, min(emb, 4)),
        layers=draw.randint(1, 6),
        heads=heads,
        max_memory=N,
        tied=draw.random() < 0.5,
        semantics=JULIA,
    )
    batch = draw.randint(1, 5)
    drawn = [draw.choice(segment_lengths(N)) for _ in range(draw.randint(3, 6))]
    generator = torch.Generator().manual_seed(seed)
    parameters = to_julia(random_model(config, generator).state_dict(), config)
    segments = random_segments(config, lengths or drawn, batch, generator)
    return Case(f"seed {seed}", config, parameters, segments, seed)


def recorded_case(recording: Recording) -> Case:
    """A recorded SHA-RNN.jl run, to be run again: its parameters and ids."""
    segments = [pair(recording, number) for number in range(1, segment_count(recording) + 1)]
    return Case(recording.name, model_config(recording, JULIA), recording.group("param/"), segments)


def checkpoint_case(folder: Path, text: Path, lengths: Sequence[int] | None = None) -> Case:
    """A checkpoint's model on the beginning of a text, one sequence.

    Raises `UsageError` for a checkpoint without a vocabulary or of a baseline, and what `load_checkpoint` raises.
    """
    checkpoint = load_checkpoint(folder)
    if checkpoint.vocabulary is None:
        raise UsageError(f"{folder} has no vocabulary.json, so {text} cannot be turned into its ids")
    if not isinstance(checkpoint.model, SHARNN):
        raise UsageError(f"{folder} holds a baseline; live cases are of SHA-RNN")
    lengths = lengths or [TEXT_SEGMENT] * TEXT_SEGMENTS
    with text.open(encoding="utf-8") as lines:
        data = batches.lay_out(checkpoint.vocabulary.encode(lines), 1, max_size=sum(lengths) + 1)
    config = checkpoint.model.config
    parameters = to_julia(checkpoint.model.float().state_dict(), config)
    return Case(f"{folder.name} on {text.name}", config, parameters, list(batches.segments(data, lengths)))


def sources(upstream: Path | None, progress: Progress) -> list[Source]:
    """The sources that can be run: the reference statement always, SHA-RNN.jl itself where its source can be had.

    A checkout that was asked for by path must be right; `UpstreamError` says what is wrong with it.
    """
    try:
        model_source(upstream)
    except UpstreamError as error:
        if upstream is not None:
            raise
        progress(f"SHA-RNN.jl itself is not run, only the reference statement of its semantics: {error}")
        return ["reference"]
    return ["upstream", "reference"]


def record_if_available(
    cases: Sequence[Case], upstream: Path | None, folder: Path, progress: Progress
) -> tuple[list[Recording], str]:
    """Every case run by every source there is, recorded in `folder`; where Julia does not run, none, and why."""
    try:
        ensure(progress)
        if not cases:
            return [], "none of the recordings asked for is of SHA-RNN.jl's model, which is what Julia runs"
        return list(record_all(cases, sources(upstream, progress), upstream, folder, progress)), ""
    except JuliaUnavailable as error:
        return [], str(error)


def record_all(
    cases: Sequence[Case], sources: Sequence[Source], upstream: Path | None, folder: Path, progress: Progress
) -> Iterator[Recording]:
    """Every case run by every source, each source in a Julia of its own. Raises `JuliaUnavailable`."""
    ensure(progress)
    for source in sources:
        with Worker(timeout=CALL_LIMIT) as worker:
            for number, case in enumerate(cases):
                progress(f"running {case.name} in Julia ({source})")
                path = folder / f"{source}-{number}.safetensors"
                yield replace(record(case, source, worker, path, upstream), name=f"live/{source}/{case.name}")


def record_once(case: Case, source: Source, upstream: Path | None, path: Path, progress: Progress) -> Recording:
    """One case run by one source, in a Julia of its own, and written to `path`. Raises `JuliaUnavailable`."""
    ensure(progress)
    with Worker(timeout=CALL_LIMIT) as worker:
        progress(f"running {case.name} in Julia ({source})")
        return record(case, source, worker, path, upstream)


def record(case: Case, source: Source, worker: Worker, path: Path, upstream: Path | None = None) -> Recording:
    """Run a case in Julia and write all it computed to `path`, in the format of docs/recordings.md.

    It is run and written segment by segment: no more than one of them is in memory.
    """
    parameters = {name: tensor.numpy() for name, tensor in case.parameters.items()}
    model = JuliaModel(source, case.config, parameters, worker, upstream)
    with RecordingWriter(path) as writer:
        for name, tensor in case.parameters.items():
            writer.add(f"param/{name}", tensor)
        state: JuliaState | None = None
        for number, (tokens, targets) in enumerate(case.segments, start=1):
            output = model.run(tokens.numpy(), targets.numpy(), state, gradients=_with_gradients(case, source))
            state = output.state
            prefix = f"eval/{number}/"
            loss = torch.tensor([output.loss], dtype=torch.float32)
            seen = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in output.intermediates.items()}
            seen |= {"x": tokens + 1, "y": targets + 1, "loss": loss}
            for name, tensor in seen.items():
                writer.add(prefix + name, tensor if tensor.is_floating_point() else tensor.to(torch.int32))
            for group, found in (("agrad", output.activation_gradients), ("grad", output.gradients)):
                for name, array in found.items():
                    writer.add(f"{group}/{number}/{name}", torch.from_numpy(np.ascontiguousarray(array)))
            if output.gradients:
                writer.add(f"grad/{number}/loss", loss)
        writer.finish(
            {
                "implementation": model.label,
                "semantics": "julia",
                "julia": ", ".join(f"{name} {number}" for name, number in worker.versions.items()),
                "config": json.dumps(_config(case)),
            }
        )
    return Recording(path.stem, path)


def _with_gradients(case: Case, source: Source) -> bool:
    """Whether gradients are recorded: not of SHA-RNN.jl itself, nor of a large model, where they take most memory."""
    return source == "reference" and sum(p.numel() for p in case.parameters.values()) <= GRADIENTS_UP_TO


def _config(case: Case) -> dict[str, object]:
    return {
        **header_sizes(case.config),
        "batch": case.segments[0][0].shape[1],
        "segs": [len(tokens) for tokens, _ in case.segments],
        "seed": case.seed,
    }


def recordable(recordings: Sequence[Recording]) -> list[Case]:
    """The recordings of SHA-RNN.jl's model among these, as cases to run again; damaged ones are left to the suite."""
    cases = []
    for recording in recordings:
        try:
            if not recording.is_data and program_of(recording) == "julia" and "param/encoder.w" in recording.tensors:
                cases.append(recorded_case(recording))
        except RecordingError:
            continue
    return cases
