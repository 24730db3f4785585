"""Gradients of the reference statement in Julia, against torch's and against SHA-RNN.jl's recorded ones."""

import numpy as np
import pytest
import torch

from julia_bridge import JuliaModel
from parity import PACKAGED, Recording
from parity.live import random_case, recorded_case
from parity.replay.names import intermediates
from sharnn_py import JULIA, SHARNN, ConfigError, from_julia, nll, to_julia

pytestmark = pytest.mark.usefixtures("lane")


def run_in_julia(case, worker, dtype):
    parameters = {name: p.numpy().astype(dtype) for name, p in case.parameters.items()}
    model, state = JuliaModel("reference", case.config, parameters, worker), None
    for tokens, targets in case.segments:
        output = model.run(tokens.numpy(), targets.numpy(), state, gradients=True)
        state = output.state
        yield tokens, targets, output


def relative(found, expected):
    return float(np.abs(found - expected).max()) / max(float(np.abs(expected).max()), 1e-30)


@pytest.mark.parametrize("seed", range(30, 36))
def test_in_float64_they_are_torchs(worker, seed):
    """Every parameter's and every intermediate's, over segments with carried state. Both sums differ in their order
    alone: 1e-9 of the largest number is far above what that does in float64, and far below any fault."""
    case = random_case(seed)
    model = SHARNN(case.config).double().eval()
    model.load_state_dict(from_julia(case.parameters, case.config))
    table, state = intermediates("julia", case.config), None
    compared = 0
    for tokens, targets, output in run_in_julia(case, worker, np.float64):
        seen = {}

        def note(name, tensor, seen=seen):
            if tensor.requires_grad:
                tensor.retain_grad()
                seen[name] = tensor

        model.zero_grad()
        logits, state = model(tokens, state, note)
        nll(logits, targets).backward()
        ours = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}
        for name, expected in to_julia(ours, case.config).items():
            assert relative(output.gradients[name], expected.numpy()) < 1e-9, name
            compared += 1
        expected = {
            table[name][0]: table[name][1].to_recorded(x.grad).numpy()
            for name, x in seen.items()
            if name in table and x.grad is not None and name not in ("memory", "h", "c")
        }
        assert expected.keys() == output.activation_gradients.keys()
        for name, gradient in expected.items():
            assert relative(output.activation_gradients[name], gradient) < 1e-9, name
            compared += 1
    assert compared > 30


@pytest.mark.parametrize("name", ["L1_h1_tied_b2", "L2_longseg", "L4_h2_untied_b2", "L3_h2_tied_b2"])
def test_in_float32_they_are_those_that_were_recorded(worker, name):
    """SHA-RNN.jl's own, by AutoGrad: 2e-4 of the largest number is the furthest that float64 was from a recording."""
    recording = Recording(name, PACKAGED / f"sha_rnn_jl/{name}.safetensors.xz")
    for segment, (_, _, output) in enumerate(run_in_julia(recorded_case(recording), worker, np.float32), start=1):
        recorded = recording.group(f"grad/{segment}/")
        assert recorded.keys() - output.gradients.keys() == {"loss"}
        for parameter, found in output.gradients.items():
            assert relative(found, recorded[parameter].numpy()) < 2e-4, parameter


def test_asking_for_gradients_changes_nothing_else(worker):
    case = random_case(31)
    model = JuliaModel("reference", case.config, {n: p.numpy() for n, p in case.parameters.items()}, worker)
    tokens, targets = (ids.numpy() for ids in case.segments[0])
    plain, with_gradients = model.run(tokens, targets), model.run(tokens, targets, gradients=True)
    assert plain.gradients == {} == plain.activation_gradients
    assert plain.intermediates.keys() == with_gradients.intermediates.keys()
    for name, array in plain.intermediates.items():
        assert np.array_equal(array, with_gradients.intermediates[name]), name
    assert plain.loss == with_gradients.loss


def test_a_constant_row_gives_nan_as_sha_rnn_jl_does(worker):
    case = random_case(32)
    parameters = {name: p.numpy().copy() for name, p in case.parameters.items()}
    parameters["encoder.w"][:] = 0.5
    model = JuliaModel("reference", case.config, parameters, worker)
    output = model.run(*(ids.numpy() for ids in case.segments[0]), gradients=True)
    assert np.isfinite(output.loss)
    assert np.isnan(output.gradients["encoder.w"]).any()


def test_upstream_gives_none(worker, monkeypatch, tmp_path):
    case = random_case(30)
    assert case.config.semantics == JULIA
    monkeypatch.setattr("julia_bridge.model.model_source", lambda path: tmp_path / "model.jl")
    model = JuliaModel("upstream", case.config, {n: p.numpy() for n, p in case.parameters.items()}, worker)
    with pytest.raises(ConfigError, match='the source "reference" gives gradients'):
        model.run(*(ids.numpy() for ids in case.segments[0]), gradients=True)
