"""The ids that a recorded segment or update was given."""

from torch import Tensor

from parity.errors import RecordingError
from parity.recording.recording import Recording
from parity.sharnn.header import program_of
from parity.sharnn.names import first_block


def ids(recording: Recording, name: str) -> Tensor:
    """Recorded ids (T, B), int64, from 0; among Julia's labels -1 is one that the loss leaves out.

    Raises `RecordingError` for ids out of range or a batch the header does not name.
    """
    tensor, vocab, batch = recording.tensor(name), recording.setting("vocab"), recording.setting("batch")
    if tensor.ndim != 2 or not tensor.numel() or tensor.is_floating_point():
        raise RecordingError(f"{recording.label}: {name} has shape {tuple(tensor.shape)}; expected ids (T, B)")
    if tensor.shape[1] != batch:
        raise RecordingError(
            f"{recording.label}: {name} has batch {tensor.shape[1]}, but the header's config says {batch}"
        )
    program = program_of(recording)
    first = first_block(program)  # Julia's ids, as its blocks, count from 1
    lowest = 0 if program == "julia" and name.endswith("/y") else first
    low, high = int(tensor.min()), int(tensor.max())
    if low < lowest or high >= vocab + first:
        raise RecordingError(f"{recording.label}: {name} has ids outside the vocabulary of {vocab} ({low} to {high})")
    return tensor.long() - first


def pair(recording: Recording, segment: int, group: str = "eval") -> tuple[Tensor, Tensor]:
    """The inputs and targets of a segment, or of an update."""
    return ids(recording, f"{group}/{segment}/x"), ids(recording, f"{group}/{segment}/y")
