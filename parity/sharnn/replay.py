"""Replaying a recorded SHA-RNN: every segment's intermediates, loss and gradients, with carried state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from typing import cast

import torch
from torch import Tensor

from parity.errors import RecordingError
from parity.recording.recording import Recording
from parity.sharnn.header import segment_count
from parity.sharnn.ids import pair
from parity.sharnn.names import first_block, intermediates, time_axis
from parity.sharnn.port import Port, build, shaped_like_loss
from parity.subject.gradient_probe import Note
from parity.subject.segment_run import SAME, Layout, SegmentRun, gradients, stream
from parity.subject.subject import NOT_DETACHED, RunMode, TracedTensor
from sharnn_py.config import Config, Semantics
from sharnn_py.lamb import joint_norm, unclipped_by_julia
from sharnn_py.memory import rows_dropped
from sharnn_py.model import SHARNN, Block, nll
from sharnn_py.state import LayerState, State

ONLY_OURS = "only the port has this: SHA-RNN.jl's tied decoder has no bias"
STATE = {"h": "hidden state", "c": "cell state", "memory": "memory"}
"""The fields of a block's state, in words."""


def isolated_segment(recording: Recording, semantics: Semantics, segment: int) -> Segment:
    """One segment in isolation, in float64, from the state that was recorded before it."""
    port = build(recording, semantics, RunMode(torch.float64, isolated=True))
    if segment == 1:
        return Segment(port, segment, None)
    zeros = State.zeros(port.config, recording.setting("batch"), dtype=torch.float64)
    return Segment(port, segment, Segment(port, segment - 1, None).as_recorded(zeros))


def replay(recording: Recording, semantics: Semantics, mode: RunMode) -> Iterator[TracedTensor]:
    """The stream of `param/`, `eval/`, `carry/`, `agrad/`, `grad/` and `const/`."""
    yield from replay_port(build(recording, semantics, mode))


def replay_port(port: Port) -> Iterator[TracedTensor]:
    """`replay` with a port that exists already, whose model is not changed."""
    for name, tensor in port.parameters().items():
        yield TracedTensor(f"param/{name}", tensor, "parameters", exact=True)
    yield from stream(segment_count(port.recording), partial(Segment, port))
    if port.program == "julia":
        yield from _constants(port)


class Segment(SegmentRun):
    """One segment of a replay."""

    def __init__(self, port: Port, segment: int, state: State | None) -> None:
        super().__init__(port.model, port.recording, port.mode, segment, state)
        self.port = port
        self.prefix = self.nudged_under = f"eval/{segment}/"
        self.table = intermediates(port.program, port.config)

    def entry(self, name: str) -> tuple[str, Layout] | None:
        return self.table.get(name)

    def substitute(self, name: str, tensor: Tensor, group: str = "eval") -> Tensor:
        theirs, taken = self.table.get(name, ("", SAME))[0], self.port.taken
        own = taken is not None and group == "eval" and f"{self.prefix}{theirs}" not in taken
        return tensor if own else super().substitute(name, tensor, group)

    @cached_property
    def ids(self) -> tuple[Tensor, Tensor]:
        """The segment's ids and targets, from 0."""
        return pair(self.recording, self.number)

    def compute(self, note: Note) -> tuple[Tensor, State]:
        tokens, targets = self.ids
        logits, after = self.port.model(tokens, self.state, note)
        return nll(logits, targets), after

    def run(self) -> None:
        """Emit every tensor of the segment."""
        port, steps = self.port, self.ids[0].shape[0]
        _check_length(self.recording, self.number, steps)
        if port.program == "julia" and self.state is not None:
            self._emit_all(_julia_sizes(port.config, self.state, steps, self.prefix, self.place))
        embedded: list[Tensor] = []

        def note(name: str, tensor: Tensor) -> Tensor:
            value = self.note(name, tensor)
            if name == "embed":
                embedded.append(value)
            return value

        with torch.set_grad_enabled(self.with_gradients):
            loss, after = self.compute(note)
        self.emit(TracedTensor(f"{self.prefix}loss", shaped_like_loss(loss, port.program), self.place))
        self._emit_all(self._carried(after))
        if self.with_gradients:
            self._emit_all(self._gradients(loss, embedded[0], after))
            self._emit_all(self._unreached())
        self.carried = self.as_recorded(after) if port.mode.isolated else after

    def _emit_all(self, items: Iterable[TracedTensor]) -> None:
        for item in items:
            self.emit(item)

    def intermediates(self, name: str, tensor: Tensor) -> Iterator[TracedTensor]:
        port, where = self.port, self.where(name)
        if name.endswith(".memory_in") and port.program == "julia":
            if self.number == 1:  # SHA-RNN.jl has no memory at all before the first segment
                return
            sizes = torch.tensor(tensor.shape[::-1], dtype=torch.int32)
            number = int(name.split(".")[1]) + 1
            yield TracedTensor(f"{self.prefix}mem_in.{number}.size", sizes, where, exact=True)
        if name == "logits" and self.number == 1 and port.has_unrecorded_bias:
            # Row 5 flipped: a bias that was never recorded is reported where it is used.
            bias = dict(port.model.named_parameters())["decoder.bias"].detach()
            yield TracedTensor("param/decoder.bias", bias, f"{where}, logits", exact=True, problem=ONLY_OURS)
        yield from super().intermediates(name, tensor)

    def where(self, name: str) -> str:
        if not name.startswith("blocks."):
            return self.place
        return f"{self.place}, block {int(name.split('.')[1]) + first_block(self.port.program)}"

    def time_axis(self, name: str, tensor: Tensor) -> int | None:
        return time_axis(name)

    def shown(self, name: str) -> str:
        return self.table[name][0] if self.recorded(name) is not None else f"{name} (of the port)"

    def _unreached(self) -> Iterator[TracedTensor]:
        """Zeros for the tensors that no gradient reached, though one was recorded."""
        for name, (recorded, _) in self.table.items():
            reference = self.recording.tensors.get(f"agrad/{self.number}/{recorded}")
            if reference is not None and name not in self.reached:
                where = f"{self.where(name)}, gradient of the loss there: none arrived"
                zeros = torch.zeros(reference.shape, dtype=self.mode.dtype)
                yield TracedTensor(f"agrad/{self.number}/{recorded}", zeros, where)

    def _carried(self, after: State) -> Iterator[TracedTensor]:
        """The state that was returned, against the last of what was recorded inside the segment."""
        for i, kind, tensor in parts_of_state(after):
            name = f"blocks.{i}.{kind}"
            if self.recorded(name) is None:
                continue
            recorded, layout = self.table[name]
            yield TracedTensor(
                f"carry/{self.number}/blocks.{i + first_block(self.port.program)}.{kind}",
                layout.to_recorded(tensor.detach()),
                f"{self.where(name)}, {STATE[kind]} carried on",
                recorded=self.prefix + recorded,
                problem=NOT_DETACHED if tensor.requires_grad else "",
            )

    def as_recorded(self, after: State) -> State:
        """The state as the reference carried it on, as far as it was recorded."""

        def carried(i: int, kind: str, tensor: Tensor) -> Tensor:
            recorded = self.recorded(f"blocks.{i}.{kind}")
            # Of the recorded shape, so that the recorded tensor is used even where the port's own has another.
            tensor = tensor.detach() if recorded is None else torch.empty(recorded.shape)
            return self.substitute(f"blocks.{i}.{kind}", tensor)

        tensors = [carried(*part) for part in parts_of_state(after)]
        return State(tuple(LayerState(*tensors[at : at + len(STATE)]) for at in range(0, len(tensors), len(STATE))))

    def _gradients(self, loss: Tensor, embedded: Tensor, state: State) -> Iterator[TracedTensor]:
        port = self.port
        ours, (per_token,) = port_gradients(port.model, loss, state, embedded)
        if port.program == "julia":
            value = shaped_like_loss(loss, port.program)
            yield TracedTensor(f"grad/{self.number}/loss", value, self.place, end_to_end_only=True)
        unclipped = unclipped_by_julia(port.config)
        for name, gradient in in_recorded_order(port, ours).items():
            item = self.parameter_gradient(name, gradient)
            yield item
            if port.program == "julia":
                # The gradient of a sparse embedding is a list with one entry a token, and Knet takes the norm of that.
                of = per_token if name == "encoder.w" and name in unclipped else gradient
                norm, recorded = joint_norm([of]).reshape(1), f"gradnorm/{self.number}/{name}"
                yield TracedTensor(recorded, norm, item.where, end_to_end_only=True, norm_of=of)
                if name in unclipped:
                    flag = torch.ones(1, dtype=torch.int32)
                    yield TracedTensor(f"gradissparse/{self.number}/{name}", flag, item.where, exact=True)


def parts_of_state(state: State) -> Iterator[tuple[int, str, Tensor]]:
    """Every tensor of a state, with its block, from 0, and its field, a key of `STATE`."""
    for i, layer in enumerate(state.layers):
        for kind, tensor in zip(STATE, layer.tensors(), strict=True):
            yield i, kind, tensor


def _check_length(recording: Recording, segment: int, steps: int) -> None:
    lengths = recording.setting("segs")
    if lengths[segment - 1] != steps:
        raise RecordingError(
            f"{recording.label}: segment {segment} has {steps} steps, but the header's segs are {lengths}"
        )


def _julia_sizes(config: Config, state: State, steps: int, prefix: str, place: str) -> list[TracedTensor]:
    """What SHA-RNN.jl computes of its memories before cutting them: row 4's two numbers, and for a block without
    attention the size of the empty vector it holds instead, whose length along the time axis Julia gives as 1."""
    dropped = rows_dropped(config, state.memory_lengths, steps, layer=0)
    values = {"maxmem": [config.max_memory - steps], "mem_start_idx": [dropped + 1]}
    for i in range(config.layers):
        if not config.attends(i):
            values[f"mem_in.{i + 1}.size"] = [0, 1, max(0, 1 - dropped)]
    return [
        TracedTensor(prefix + name, torch.tensor(value, dtype=torch.int32), place, exact=True)
        for name, value in values.items()
    ]


def port_gradients(
    model: SHARNN, loss: Tensor, state: State, *others: Tensor
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """`gradients`, which keeps the graph if the returned state is still attached to it, as it should not be.

    The gradients of the next segment then show that.
    """
    attached = any(tensor.requires_grad for _, _, tensor in parts_of_state(state))
    return gradients(model, loss, *others, keep_graph=attached)


def in_recorded_order(port: Port, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """`Port.recorded_layout`, last layer first."""
    return dict(reversed(port.recorded_layout(ours).items()))


def _constants(port: Port) -> Iterator[TracedTensor]:
    """Boom's sum of chunks as the matrix that SHA-RNN.jl builds for it, (F, H)."""
    for i, block in enumerate(port.model.blocks):
        matrix = cast(Block, block).boom.fold(torch.eye(port.config.hidden, dtype=port.mode.dtype))
        yield TracedTensor(f"const/blocks.{i + 1}.ff.lin2", matrix, f"block {i + 1}", exact=True)
