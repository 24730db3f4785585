"""Replaying a recorded SHA-RNN: every segment's intermediates, loss and gradients, with carried state."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from parity.errors import RecordingError
from parity.recording import Recording
from parity.replay import Item, Precision
from parity.replay.names import first_block, intermediates
from parity.tolerance import nudge
from sharnn_py.config import PRESETS, Config, Program, Semantics
from sharnn_py.lamb import joint_norm, unclipped_by_julia
from sharnn_py.memory import rows_dropped
from sharnn_py.model import SHARNN, Block, nll
from sharnn_py.state import State
from sharnn_py.weights import from_julia, from_smerity, to_julia, to_smerity
from sharnn_py.weights.shapes import parameter_shapes


def model_config(recording: Recording, semantics: Semantics) -> Config:
    """The configuration of the recorded model, under the semantics asked for."""
    attention_layers: Any = None
    if "attn_layer" in recording.config:  # Smerity's recordings: the 0-based block or blocks, -1 for none
        chosen = recording.config["attn_layer"]
        attention_layers = tuple(chosen) if isinstance(chosen, list) else () if chosen == -1 else (chosen,)
    return Config(
        vocab=recording.setting("vocab"),
        emb=recording.setting("emb"),
        hidden=recording.setting("hidden"),
        layers=recording.setting("nlayers"),
        heads=recording.setting("heads"),
        max_memory=recording.setting("npos"),
        tied=recording.setting("tie"),
        attention_layers=attention_layers,
        semantics=semantics,
    )


@dataclass
class Port:
    """The port, set up to stand in for one recorded model."""

    recording: Recording
    config: Config
    precision: Precision
    model: SHARNN
    unused: dict[str, Tensor]
    """Tensors that only Smerity's program has."""

    @property
    def program(self) -> Program:
        return self.recording.program

    @property
    def config_of_recording(self) -> Config:
        """The configuration under the semantics of the program that was recorded."""
        return replace(self.config, semantics=PRESETS[self.program])

    @property
    def has_unrecorded_bias(self) -> bool:
        """Whether only the port's decoder has a bias, under semantics that are not the recording's (row 5)."""
        return self.config.decoder_bias and not self.config_of_recording.decoder_bias

    def load(self, recorded: dict[str, Tensor]) -> None:
        """Take over recorded parameters, nudged if this is a nudged run.

        Under the recording's own semantics every parameter must be there. Under others, a parameter that only the
        port has keeps its fresh value, and one that only the recording has is dropped.
        """
        own = self.config_of_recording
        if self.program == "julia":
            parameters = from_julia(recorded, own)
        else:
            parameters, self.unused = from_smerity(recorded, own)
        parameters = {name: nudge(t, self.precision.nudged, name) for name, t in parameters.items()}
        fresh = {name: torch.zeros(shape) for name, shape in parameter_shapes(self.config).items()}
        self.model.load_state_dict({name: parameters.get(name, zero) for name, zero in fresh.items()})

    def recorded_layout(self, ours: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors by the port's parameter names, under the recorded names and in the recorded layout.

        A bias that only the port has is left behind.
        """
        return to_julia(ours, self.config) if self.program == "julia" else to_smerity(ours, self.config, {})

    def parameters(self) -> dict[str, Tensor]:
        """The present parameters in the recorded layout."""
        return self.recorded_layout({name: p.detach() for name, p in self.model.named_parameters()})

    def tokens(self, name: str, config_batch: int) -> Tensor:
        """Recorded ids, from 0. Raises `RecordingError` for ids out of range or a batch the header does not name."""
        ids = self.recording.tensor(name)
        if ids.ndim != 2 or not ids.numel() or ids.is_floating_point():
            raise RecordingError(f"{self.recording.path}: {name} has shape {tuple(ids.shape)}; expected ids (T, B)")
        if ids.shape[1] != config_batch:
            raise RecordingError(
                f"{self.recording.path}: {name} has batch {ids.shape[1]}, but the header's config says {config_batch}"
            )
        ids = ids.long() - first_block(self.program)  # Julia's ids, as its blocks, count from 1
        lowest = -1 if self.program == "julia" and name.endswith("/y") else 0  # label 0 is left out of Julia's loss
        if int(ids.min()) < lowest or int(ids.max()) >= self.config.vocab:
            raise RecordingError(
                f"{self.recording.path}: {name} has ids outside the vocabulary of {self.config.vocab} "
                f"({int(ids.min()) + first_block(self.program)} to {int(ids.max()) + first_block(self.program)})"
            )
        return ids


def build(recording: Recording, semantics: Semantics, precision: Precision) -> Port:
    """The port of a recorded SHA-RNN with its recorded initial parameters."""
    config = model_config(recording, semantics)
    model = SHARNN(config, torch.Generator().manual_seed(0)).to(precision.dtype).eval()
    port = Port(recording, config, precision, model, {})
    port.load(recording.group("param/"))
    return port


def shaped_like_loss(loss: Tensor, program: Program) -> Tensor:
    """SHA-RNN.jl's losses are recorded as (1,), Smerity's as scalars."""
    return loss.detach().reshape((1,) if program == "julia" else ())


def replay(recording: Recording, semantics: Semantics, precision: Precision) -> Iterator[Item]:
    """The stream of `eval/`, `grad/`, `const/` and `param/`."""
    port = build(recording, semantics, precision)
    state: State | None = None
    for segment in range(1, recording.segments + 1):
        state = yield from _segment(port, segment, state)
    if port.program == "julia":
        yield from _constants(port)
    for name, tensor in port.parameters().items():
        yield Item(f"param/{name}", tensor, "parameters", exact=True)


def _segment(port: Port, segment: int, state: State | None) -> Generator[Item, None, State]:
    recording = port.recording
    batch = recording.setting("batch")
    tokens, targets = (port.tokens(f"eval/{segment}/{name}", batch) for name in "xy")
    _check_length(recording, segment, tokens.shape[0])
    prefix, place = f"eval/{segment}/", f"segment {segment}"
    if port.program == "julia" and state is not None:
        yield from _julia_sizes(port.config, state, tokens.shape[0], prefix, place)

    seen: dict[str, Tensor] = {}
    try:
        logits: Tensor
        new_state: State
        logits, new_state = port.model(tokens, state, seen.__setitem__)
    except Exception:
        yield from _intermediates(port, seen, segment)  # how far a faulty port came tells where it is faulty
        raise
    yield from _intermediates(port, seen, segment)
    loss = nll(logits, targets)
    yield Item(f"{prefix}loss", shaped_like_loss(loss, port.program), place)
    if recording.group("grad/"):
        yield from _gradients(port, segment, loss, seen["embed"], new_state)
    return new_state


def _intermediates(port: Port, seen: dict[str, Tensor], segment: int) -> Iterator[Item]:
    """What the port noted, in its order, as far as the program's recordings hold it."""
    table = intermediates(port.program, port.config)
    prefix = f"eval/{segment}/"
    for name, tensor in seen.items():
        where = f"segment {segment}"
        if name.startswith("blocks."):
            number = int(name.split(".")[1]) + first_block(port.program)
            where += f", block {number}"
        if name.endswith(".memory_in") and port.program == "julia":
            if segment == 1:  # SHA-RNN.jl has no memory at all before the first segment
                continue
            sizes = torch.tensor(tensor.shape[::-1], dtype=torch.int32)
            yield Item(f"{prefix}mem_in.{number}.size", sizes, where, exact=True)
        if name == "logits" and segment == 1 and port.has_unrecorded_bias:
            # Row 5 turned the other way: a bias that was never recorded is reported where it is used.
            bias = dict(port.model.named_parameters())["decoder.bias"].detach()
            yield Item("param/decoder.bias", bias, f"{where}, logits", exact=True)
        if name in table:
            recorded, layout = table[name]
            yield Item(prefix + recorded, layout(tensor.detach()), where)


def _check_length(recording: Recording, segment: int, steps: int) -> None:
    lengths = recording.setting("segs")
    if lengths[segment - 1] != steps:
        raise RecordingError(
            f"{recording.path}: segment {segment} has {steps} steps, but the header's segs are {lengths}"
        )


def _julia_sizes(config: Config, state: State, steps: int, prefix: str, place: str) -> list[Item]:
    """What SHA-RNN.jl computes of its memories before cutting them: row 4's two numbers, and for a block without
    attention the size of the empty vector it holds instead, whose length along the time axis Julia gives as 1."""
    dropped = rows_dropped(config, state.memory_lengths, steps, layer=0)
    values = {"maxmem": [config.max_memory - steps], "mem_start_idx": [dropped + 1]}
    for i in range(config.layers):
        if not config.attends(i):
            values[f"mem_in.{i + 1}.size"] = [0, 1, max(0, 1 - dropped)]
    return [
        Item(prefix + name, torch.tensor(value, dtype=torch.int32), place, exact=True) for name, value in values.items()
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


def _gradients(port: Port, segment: int, loss: Tensor, embedded: Tensor, state: State) -> list[Item]:
    ours, (per_token,) = gradients(port.model, loss, state, embedded)
    prefix, place = f"grad/{segment}/", f"segment {segment}"
    items = []
    if port.program == "julia":
        items.append(Item(f"{prefix}loss", shaped_like_loss(loss, port.program), place))
    unclipped = unclipped_by_julia(port.config)
    for name, gradient in in_recorded_order(port, ours).items():
        where = f"{place}, gradient of {name}"
        items.append(Item(prefix + name, gradient, where))
        if port.program == "julia":
            # The gradient of a sparse embedding is a list with one entry a token, and Knet takes the norm of that.
            sparse = name == "encoder.w" and name in unclipped
            norm = joint_norm([per_token if sparse else gradient]).reshape(1)
            items.append(Item(f"gradnorm/{segment}/{name}", norm, where))
            if name in unclipped:
                flag = torch.ones(1, dtype=torch.int32)
                items.append(Item(f"gradissparse/{segment}/{name}", flag, where, exact=True))
    return items


def _constants(port: Port) -> Iterator[Item]:
    """Boom's way back as the matrix that SHA-RNN.jl builds for it, (F, H)."""
    for i, block in enumerate(port.model.blocks):
        matrix = cast(Block, block).boom.fold(torch.eye(port.config.hidden, dtype=port.precision.dtype))
        yield Item(f"const/blocks.{i + 1}.ff.lin2", matrix, f"block {i + 1}", exact=True)
