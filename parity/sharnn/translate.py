"""A recording of either program under the port's names and in its layout, so that two recordings can be compared."""

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor

from parity.recording.recording import ReadOnDemand, Recording
from parity.sharnn.header import model_config, program_of, segment_count
from parity.sharnn.ids import ids
from parity.sharnn.names import intermediates
from sharnn_py.config import PRESETS, Config
from sharnn_py.weights import julia, smerity
from sharnn_py.weights.shapes import parameter_shapes
from sharnn_py.weights.table import Layout

Read = Callable[[], Tensor]
Source = tuple[str, Read]
"""The recorded tensor's name, and the function that reads it into the port's layout."""


def translated(recording: Recording) -> tuple[Recording, dict[str, str]]:
    """The parameters, ids, intermediates, losses and gradients of a recorded SHA-RNN by the port's names.

    In order of computation. Also, each of these names to the recorded one.
    """
    config = model_config(recording, PRESETS[program_of(recording)])
    sources = dict(_by_parameter(recording, config, "param/"))
    for segment in range(1, segment_count(recording) + 1):
        sources.update(_of_segment(recording, config, f"eval/{segment}/"))
        sources.update(reversed(list(_by_parameter(recording, config, f"grad/{segment}/"))))
    header = {**recording.metadata, "names": "the port's"}
    original = {ours: theirs for ours, (theirs, _) in sources.items()}
    tensors = ReadOnDemand({ours: read for ours, (_, read) in sources.items()})
    return Recording(recording.name, recording.path, (tensors, header)), original


def _by_parameter(recording: Recording, config: Config, prefix: str) -> Iterator[tuple[str, Source]]:
    """What was recorded of every parameter. One of theirs may be several of ours."""
    shapes = parameter_shapes(config)
    for theirs, ours, layout in (julia if program_of(recording) == "julia" else smerity).rows(config):
        recorded = prefix + theirs
        for i, name in enumerate(ours if recorded in recording.tensors else ()):

            def read(recorded: str = recorded, ours: tuple[str, ...] = ours, i: int = i, by: Layout = layout) -> Tensor:
                return by.to_ours(recording.tensor(recorded), [shapes[name] for name in ours])[i]

            yield prefix + name, (recorded, read)


def _of_segment(recording: Recording, config: Config, prefix: str) -> Iterator[tuple[str, Source]]:
    def reader(theirs: str, turn: Callable[[Tensor], Tensor]) -> Source:
        return prefix + theirs, lambda: turn(recording.tensor(prefix + theirs))

    for name in (prefix + "x", prefix + "y"):
        yield name, (name, partial(ids, recording, name))
    for ours, (theirs, layout) in intermediates(program_of(recording), config).items():
        if prefix + theirs in recording.tensors:
            yield prefix + ours, reader(theirs, layout.to_ours)
    yield f"{prefix}loss", reader("loss", lambda loss: loss.reshape(()))
