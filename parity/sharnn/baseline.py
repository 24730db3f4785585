"""Replaying the recorded baseline, SHA-RNN.jl's LSTM language model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from parity.errors import RecordingError
from parity.recording.recording import Recording
from parity.sharnn.header import baseline_config, segment_count
from parity.subject.subject import RunMode, TracedTensor
from parity.tolerance import nudge
from sharnn_py.baseline import Baseline
from sharnn_py.model import nll
from sharnn_py.weights import from_julia, to_julia


def replay_baseline(recording: Recording, mode: RunMode) -> Iterator[TracedTensor]:
    """The stream of `eval/`, `grad/`, `param/` and `rnnparam/`."""
    config = baseline_config(recording)
    model = Baseline(config).to(mode.dtype).eval()
    parameters = from_julia(recording.group("param/"), config)
    model.load_state_dict({name: nudge(t, mode.nudged, name) for name, t in parameters.items()})
    state: tuple[Tensor, Tensor] | None = None
    for segment in range(1, segment_count(recording) + 1):
        prefix, place = f"eval/{segment}/", f"segment {segment}"
        tokens, targets = (_ids(recording, prefix + name, config.vocab) for name in "xy")
        seen: dict[str, Tensor] = {}
        names, ours = zip(*model.named_parameters(), strict=True)
        with mode.arithmetic(prefix):
            logits, state = model(tokens, state, seen.__setitem__)
            loss = nll(logits, targets)
            attached = any(t.requires_grad for t in state)
            found = torch.autograd.grad(loss, ours, retain_graph=attached, materialize_grads=True)
        for name, tensor in seen.items():
            yield TracedTensor(prefix + name, tensor.detach(), place)
        yield TracedTensor(f"{prefix}loss", loss.detach().reshape(1), place)
        for name, gradient in reversed(to_julia(dict(zip(names, found, strict=True)), config).items()):
            yield TracedTensor(f"grad/{segment}/{name}", gradient, f"{place}, gradient of {name}")
    for name, tensor in to_julia(model.state_dict(), config).items():
        yield TracedTensor(f"param/{name}", tensor, "parameters", exact=True)
    yield from _knet_pieces(model)


def _ids(recording: Recording, name: str, vocab: int) -> Tensor:
    ids = recording.tensor(name)
    if ids.is_floating_point() or not ids.numel() or int(ids.min()) < 1 or int(ids.max()) > vocab:
        raise RecordingError(f"{recording.label}: {name} should hold ids from 1 to {vocab}")
    return ids.long() - 1


def _knet_pieces(model: Baseline) -> Iterator[TracedTensor]:
    """Every gate's matrix and bias under Knet's numbering: w1..w4 from the input, w5..w8 from the state."""
    for layer in range(model.config.layers):
        for kind, letter in (("weight", "w"), ("bias", "b")):
            for first, side in ((1, "ih"), (5, "hh")):
                gates = getattr(model.rnn, f"{kind}_{side}_l{layer}").detach().chunk(4)
                for number, gate in enumerate(gates, start=first):
                    name = f"rnnparam/layer{layer + 1}/{letter}{number}"
                    yield TracedTensor(name, gate, f"LSTM layer {layer + 1}, gate {'ifco'[number - first]}", exact=True)
