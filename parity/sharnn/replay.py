"""Replaying a recorded SHA-RNN: every segment's intermediates, loss and gradients, with carried state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor

from parity.errors import RecordingError
from parity.recording.recording import Recording
from parity.sharnn.header import segment_count
from parity.sharnn.names import first_block, intermediates, time_axis
from parity.sharnn.port import Port, build, shaped_like_loss
from parity.subject.lockstep import lockstep
from parity.subject.subject import NOT_DETACHED, RunMode, TracedTensor
from parity.subject.substitute import substitute
from sharnn_py.config import Config, Semantics
from sharnn_py.lamb import joint_norm, unclipped_by_julia
from sharnn_py.memory import rows_dropped
from sharnn_py.model import SHARNN, Block, nll
from sharnn_py.state import LayerState, State

ONLY_OURS = "only the port has this: SHA-RNN.jl's tied decoder has no bias"
STATE = {"h": "hidden state", "c": "cell state", "memory": "memory"}
"""The fields of a block's state, in words."""


def isolated_segment(recording: Recording, semantics: Semantics, segment: int) -> Segment:
    """One segment by itself, in float64, from the state that was recorded before it."""
    port = build(recording, semantics, RunMode(torch.float64, isolated=True))
    if segment == 1:
        return Segment(port, segment, None)
    zeros = State.zeros(port.config, recording.setting("batch"), dtype=torch.float64)
    return Segment(port, segment, Segment(port, segment - 1, None).as_recorded(zeros))


def replay(recording: Recording, semantics: Semantics, mode: RunMode) -> Iterator[TracedTensor]:
    """The stream of `param/`, `eval/`, `carry/`, `agrad/`, `grad/` and `const/`."""
    yield from replay_port(build(recording, semantics, mode))


def replay_port(port: Port) -> Iterator[TracedTensor]:
    """`replay` of a port that is there, whose model is left as it is."""
    for name, tensor in port.parameters().items():
        yield TracedTensor(f"param/{name}", tensor, "parameters", exact=True)
    state: State | None = None
    for segment in range(1, segment_count(port.recording) + 1):
        run = Segment(port, segment, state)
        yield from lockstep(run.rounded, lambda item: item.tensor.nbytes)
        state = run.carried
    if port.program == "julia":
        yield from _constants(port)


class Segment:
    """One segment of a replay. A forced one gives every layer what was recorded of the layers before it."""

    def __init__(self, port: Port, segment: int, state: State | None) -> None:
        self.port, self.segment, self.state = port, segment, state
        self.prefix, self.place = f"eval/{segment}/", f"segment {segment}"
        self.table = intermediates(port.program, port.config)
        self.carried: State | None = None
        """What the next segment starts from."""
        self.reached: set[str] = set()
        """The tensors to which a gradient has come back."""

    def rounded(self, emit: Callable[[TracedTensor], None]) -> None:
        """`produce` in the arithmetic of the mode."""
        with self.port.mode.arithmetic(self.prefix):
            self.produce(emit)

    def produce(self, emit: Callable[[TracedTensor], None]) -> None:
        """Emit every tensor of the segment."""
        port, recording, state = self.port, self.port.recording, self.state
        tokens, targets = self.tokens()
        _check_length(recording, self.segment, tokens.shape[0])
        if port.program == "julia" and state is not None:
            for item in _julia_sizes(port.config, state, tokens.shape[0], self.prefix, self.place):
                emit(item)
        with_gradients = recording.has("grad")
        embedded: list[Tensor] = []
        with torch.set_grad_enabled(with_gradients):

            def note(name: str, tensor: Tensor) -> Tensor:
                for item in self._items(name, tensor.detach()):
                    emit(item)
                if with_gradients:
                    self._watch_gradient(name, tensor, emit)
                value = self.substitute(name, tensor)
                if name == "embed":
                    embedded.append(value)
                return value

            logits, after = port.model(tokens, state, note)
            loss = nll(logits, targets)
        emit(TracedTensor(f"{self.prefix}loss", shaped_like_loss(loss, port.program), self.place))
        for item in self._carried(after):
            emit(item)
        if with_gradients:
            for item in _gradients(port, self.segment, loss, embedded[0], after):
                emit(item)
            for item in self._unreached():
                emit(item)
        self.carried = self.as_recorded(after) if port.mode.isolated else after

    def _items(self, name: str, tensor: Tensor) -> Iterator[TracedTensor]:
        """What the recording holds of this intermediate."""
        port, where = self.port, self._where(name)
        if name.endswith(".memory_in") and port.program == "julia":
            if self.segment == 1:  # SHA-RNN.jl has no memory at all before the first segment
                return
            sizes = torch.tensor(tensor.shape[::-1], dtype=torch.int32)
            number = int(name.split(".")[1]) + 1
            yield TracedTensor(f"{self.prefix}mem_in.{number}.size", sizes, where, exact=True)
        if name == "logits" and self.segment == 1 and port.has_unrecorded_bias:
            # Row 5 turned the other way: a bias that was never recorded is reported where it is used.
            bias = dict(port.model.named_parameters())["decoder.bias"].detach()
            yield TracedTensor("param/decoder.bias", bias, f"{where}, logits", exact=True, problem=ONLY_OURS)
        if name in self.table:
            recorded, layout = self.table[name]
            axis = time_axis(name)
            axis = None if axis is None else layout.axis(axis, tensor.ndim)
            yield TracedTensor(self.prefix + recorded, layout.to_recorded(tensor), where, time_axis=axis)

    def _where(self, name: str) -> str:
        if not name.startswith("blocks."):
            return self.place
        return f"{self.place}, block {int(name.split('.')[1]) + first_block(self.port.program)}"

    def recorded(self, name: str, group: str = "eval") -> Tensor | None:
        """The recorded tensor of this name of the port's, in the port's layout; None if there is none."""
        if name not in self.table:
            return None
        recorded, layout = self.table[name]
        tensor = self.port.recording.tensors.get(f"{group}/{self.segment}/{recorded}")
        return None if tensor is None else layout.to_ours(tensor)

    def tokens(self) -> tuple[Tensor, Tensor]:
        """The segment's ids and targets, from 0."""
        batch = self.port.recording.setting("batch")
        tokens, targets = (self.port.tokens(f"{self.prefix}{name}", batch) for name in "xy")
        return tokens, targets

    def substitute(self, name: str, tensor: Tensor) -> Tensor:
        """What was recorded in the place of one of the port's tensors, which is given."""
        return self._replaced(tensor, self.recorded(name), name)

    def _replaced(self, tensor: Tensor, recorded: Tensor | None, name: str) -> Tensor:
        return substitute(tensor, recorded, self.port.mode, f"{self.prefix}{name}")

    def _watch_gradient(self, name: str, tensor: Tensor, emit: Callable[[TracedTensor], None]) -> None:
        if not tensor.requires_grad or self.recorded(name, "agrad") is None:
            return
        recorded, layout = self.table[name]
        where = f"{self._where(name)}, gradient of the loss there"

        def hook(gradient: Tensor) -> Tensor:
            self.reached.add(name)
            emit(TracedTensor(f"agrad/{self.segment}/{recorded}", layout.to_recorded(gradient.detach()), where))
            return self._replaced(gradient, self.recorded(name, "agrad"), f"agrad {name}")

        tensor.register_hook(hook)  # type: ignore[no-untyped-call]

    def _unreached(self) -> Iterator[TracedTensor]:
        """Zeros for the tensors to which no gradient came back, though one was recorded."""
        for name, (recorded, _) in self.table.items():
            reference = self.port.recording.tensors.get(f"agrad/{self.segment}/{recorded}")
            if reference is not None and name not in self.reached:
                where = f"{self._where(name)}, gradient of the loss there: none came back"
                zeros = torch.zeros(reference.shape, dtype=self.port.mode.dtype)
                yield TracedTensor(f"agrad/{self.segment}/{recorded}", zeros, where)

    def _carried(self, after: State) -> Iterator[TracedTensor]:
        """The state that was returned, against the last of what was recorded inside the segment."""
        for i, layer in enumerate(after.layers):
            for kind, tensor in zip(STATE, layer.tensors(), strict=True):
                name = f"blocks.{i}.{kind}"
                if self.recorded(name) is None:
                    continue
                recorded, layout = self.table[name]
                number = i + first_block(self.port.program)
                yield TracedTensor(
                    f"carry/{self.segment}/blocks.{number}.{kind}",
                    layout.to_recorded(tensor.detach()),
                    f"{self._where(name)}, {STATE[kind]} carried on",
                    recorded=self.prefix + recorded,
                    problem=NOT_DETACHED if tensor.requires_grad else "",
                )

    def as_recorded(self, after: State) -> State:
        """The state as the reference carried it on, as far as it was recorded."""

        def tensors(i: int, layer: LayerState) -> Iterator[Tensor]:
            for kind, tensor in zip(STATE, layer.tensors(), strict=True):
                recorded = self.recorded(f"blocks.{i}.{kind}")
                yield tensor.detach() if recorded is None else self._started(recorded, f"blocks.{i}.{kind}")

        return State(tuple(LayerState(*tensors(i, layer)) for i, layer in enumerate(after.layers)))

    def _started(self, recorded: Tensor, name: str) -> Tensor:
        return self._replaced(torch.empty(recorded.shape), recorded, name)


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


def gradients(model: SHARNN, loss: Tensor, state: State, *others: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Gradients of `loss` by parameter name, last layer first as they are computed, and those of `others`.

    The graph is kept if the returned state still hangs on it, which it should not: then the gradients of the
    next segment show it.
    """
    names, parameters = zip(*model.named_parameters(), strict=True)
    attached = any(t.requires_grad for layer in state.layers for t in layer.tensors())
    # A parameter that the loss does not depend on has gradient 0; in a faulty port that is a finding, not an error.
    found = torch.autograd.grad(loss, (*parameters, *others), retain_graph=attached, materialize_grads=True)
    by_name = dict(zip(names, found, strict=False))
    return dict(reversed(by_name.items())), list(found[len(names) :])


def in_recorded_order(port: Port, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """`Port.recorded_layout`, last layer first."""
    return dict(reversed(port.recorded_layout(ours).items()))


def _gradients(port: Port, segment: int, loss: Tensor, embedded: Tensor, state: State) -> Iterator[TracedTensor]:
    ours, (per_token,) = gradients(port.model, loss, state, embedded)
    prefix, place = f"grad/{segment}/", f"segment {segment}"
    # Without recorded gradients inside the model, a parameter's gradient depends on the whole backward path.
    end_to_end_only = not (port.mode.isolated and port.recording.has("agrad"))
    if port.program == "julia":
        yield TracedTensor(f"{prefix}loss", shaped_like_loss(loss, port.program), place, end_to_end_only=True)
    unclipped = unclipped_by_julia(port.config)
    for name, gradient in in_recorded_order(port, ours).items():
        where = f"{place}, gradient of {name}"
        yield TracedTensor(prefix + name, gradient, where, end_to_end_only=end_to_end_only)
        if port.program == "julia":
            # The gradient of a sparse embedding is a list with one entry a token, and Knet takes the norm of that.
            sparse = name == "encoder.w" and name in unclipped
            of = per_token if sparse else gradient
            yield TracedTensor(
                f"gradnorm/{segment}/{name}", joint_norm([of]).reshape(1), where, end_to_end_only=True, norm_of=of
            )
            if name in unclipped:
                flag = torch.ones(1, dtype=torch.int32)
                yield TracedTensor(f"gradissparse/{segment}/{name}", flag, where, exact=True)


def _constants(port: Port) -> Iterator[TracedTensor]:
    """Boom's way back as the matrix that SHA-RNN.jl builds for it, (F, H)."""
    for i, block in enumerate(port.model.blocks):
        matrix = cast(Block, block).boom.fold(torch.eye(port.config.hidden, dtype=port.mode.dtype))
        yield TracedTensor(f"const/blocks.{i + 1}.ff.lin2", matrix, f"block {i + 1}", exact=True)
