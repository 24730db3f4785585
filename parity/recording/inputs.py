"""The inputs that a recording, or any safetensors file, holds for a model to be run on."""

from torch import Tensor

from parity.errors import RecordingError
from parity.recording.names import parse
from parity.recording.recording import Recording


def segments_in(recording: Recording) -> list[tuple[Tensor, ...]]:
    """The inputs of each segment, in order.

    They are named `input/<segment>/<i>`, both counted without a gap, segments from 1 and inputs from 0. In a file
    without such names, those of one segment may be named `<i>` alone, and a single tensor anything. Raises
    `RecordingError` for names in another form.
    """
    tensors = recording.tensors
    placed = {name: parse(name) for name in tensors if parse(name).group == "input"}
    if not placed:
        names = [str(i) for i in range(len(tensors))]
        if len(tensors) == 1 or set(tensors) == set(names):
            return [tuple(tensors[name] for name in (names if len(tensors) > 1 else tensors))]
        raise _unnamed(recording)
    segments: dict[int, dict[str, Tensor]] = {}
    for name, parts in placed.items():
        segments.setdefault(parts.index or 0, {})[parts.path] = tensors[name]
    numbers = range(1, len(segments) + 1)
    if set(segments) != set(numbers) or any(set(s) != {str(i) for i in range(len(s))} for s in segments.values()):
        raise _unnamed(recording)
    return [tuple(segments[n][str(i)] for i in range(len(segments[n]))) for n in numbers]


def _unnamed(recording: Recording) -> RecordingError:
    found = ", ".join(list(recording.tensors)[:5])
    return RecordingError(
        f"{recording.label}: inputs are named input/1/0, input/1/1, input/2/0, ..., or 0, 1, ... in one segment; it "
        f"holds {found}"
    )
