"""The endpoints of an explanation: the programs themselves where they can be had, from a recording or live Julia."""

from collections.abc import Mapping, Sequence

import torch

from julia_bridge import JuliaModel, JuliaState, Worker
from julia_bridge.sharnn.model import Source
from parity.errors import RecordingError
from parity.measure import Measure, measure_rounded
from parity.recording.library import PACKAGED
from parity.recording.recording import Recording
from parity.sharnn.attribution.outputs import Evaluation, Outputs
from parity.sharnn.attribution.recorded import RecordedRun
from parity.sharnn.attribution.results import Endpoint
from parity.tolerance import MULTIPLE, ROUNDING_RUNS
from sharnn_py.config import JULIA, PRESETS, Program
from sharnn_py.weights import to_julia


def float32_runs(recorded: RecordedRun, program: Program) -> list[Outputs]:
    """The port in float32 under a program's semantics: a plain run and nudged ones, which show what rounding does."""
    ports = (recorded.float32_port(PRESETS[program], nudged) for nudged in range(ROUNDING_RUNS))
    return [Evaluation(port).run(recorded.segments) for port in ports]


def recorded_outputs(recorded: RecordedRun) -> Outputs:
    """The logits and losses that the program itself computed."""
    outputs, recording = Outputs(), recorded.recording
    for number in range(1, len(recorded.segments) + 1):
        loss = recording.tensor(f"eval/{number}/loss")
        outputs.add(recording.tensor(f"eval/{number}/logits"), loss.reshape(()) if loss.numel() == 1 else loss)
    return outputs


def counterpart(recorded: RecordedRun) -> RecordedRun | None:
    """SHA-RNN.jl's packaged recording of the same weights and ids, if this recording of Smerity's program names one.

    Raises `RecordingError` if they are not the same.
    """
    name = recorded.recording.metadata.get("same weights", "")
    path = PACKAGED / f"{name}.safetensors.xz"
    if recorded.program != "paper" or not name or not path.is_file():
        return None
    other = RecordedRun(Recording(name, path))
    own = {key: tensor for key, tensor in recorded.weights.items() if key in other.weights}
    same = own.keys() == other.weights.keys() and all(torch.equal(own[key], other.weights[key]) for key in own)
    ids = zip(recorded.segments, other.segments, strict=False)
    if not same or not all(torch.equal(a, b) for ours, theirs in ids for a, b in zip(ours, theirs, strict=True)):
        raise RecordingError(
            f"{recorded.recording.label}: its header says that it has the weights and ids of {name}, but they differ"
        )
    return other


def live(recorded: RecordedRun, source: Source, worker: Worker) -> tuple[Outputs, str]:
    """What Julia computes on the same weights, and a label of what ran.

    Raises `ConfigError` for a model that SHA-RNN.jl cannot be.
    """
    config = recorded.config(JULIA)
    weights = to_julia(recorded.float32_port(JULIA).state_dict(), config)
    model = JuliaModel(source, config, {name: tensor.numpy() for name, tensor in weights.items()}, worker)
    outputs = Outputs()
    state: JuliaState | None = None
    for tokens, targets in recorded.segments:
        output = model.run(tokens.numpy(), targets.numpy(), state)
        state = output.state
        outputs.add(torch.from_numpy(output.logits), torch.tensor(output.loss))
    return outputs, model.label


def measures(theirs: Outputs, truth: Outputs, runs: Sequence[Outputs]) -> dict[str, Measure]:
    """The program's own numbers against the port in float64, `truth`, and in float32, `runs`; by recorded name."""
    found = {}
    for i in range(len(truth.logits)):
        logits = theirs.logits[i], truth.logits[i], [run.logits[i] for run in runs]
        losses = theirs.losses[i], truth.losses[i], [run.losses[i] for run in runs]
        found[f"eval/{i + 1}/logits"] = measure_rounded(*logits)
        found[f"eval/{i + 1}/loss"] = measure_rounded(*losses)
    return found


def endpoint(program: Program, what: str, measured: Mapping[str, Measure]) -> Endpoint:
    """What stands for a program, given the measures of its numbers against the port's."""
    name, worst = max(measured.items(), key=lambda item: item[1].ratio)
    distance = worst.problem or f"{worst.error:.3g} off, where rounding explains {worst.tolerance:.3g}"
    return Endpoint(program, what, worst.ratio, f"{name}: {distance}")


def unit(measured: Mapping[str, Measure]) -> float:
    """One unit of rounding of the logits: the largest of all segments."""
    return max(m.tolerance for name, m in measured.items() if name.endswith("/logits")) / MULTIPLE
