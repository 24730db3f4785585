"""Training in Julia: what it starts from, its optimisers against both programs' recordings, and its state."""

import math

import numpy as np
import pytest
import torch

from julia_bridge import (  # fmt: skip
    JuliaError,
    JuliaModel,
    JuliaRule,
    JuliaTraining,
    PaperRule,
    Segment,
    initial_parameters,
    lamb_update,
)
from parity import PACKAGED, Recording
from parity.sharnn.training import optimisers
from sharnn_py import JULIA, PAPER, SHARNN, Config, ConfigError, InputError, WeightsError, from_julia

pytestmark = pytest.mark.usefixtures("installation")
CONFIG = Config(vocab=7, emb=8, hidden=16, layers=3, max_memory=6, semantics=JULIA)


def segment(seed, steps, begins=False):
    ids = np.random.default_rng(seed).integers(0, CONFIG.vocab, (steps + 1, 2))
    return Segment(ids[:-1], ids[1:], begins)


@pytest.mark.parametrize("tied", [True, False])
def test_the_start_is_drawn_by_row_7(worker, tied):
    """Deviations within a twentieth: some 500 numbers at the least would be off by that one time in a hundred."""
    config = Config(vocab=90, emb=32, hidden=128, layers=3, tied=tied, semantics=JULIA)
    drawn = initial_parameters(config, 1, worker)
    port = SHARNN(config, torch.Generator().manual_seed(0)).state_dict()
    ours = from_julia({name: torch.from_numpy(array.copy()) for name, array in drawn.items()}, config)
    assert ours.keys() == port.keys()
    for name, tensor in ours.items():
        if float(port[name].std()) == 0 or "rnn.bias" in name:
            assert torch.equal(tensor, port[name]), name
        else:
            assert float(tensor.std()) == pytest.approx(float(port[name].std()), rel=0.1), name
            assert abs(float(tensor.mean())) < 4 * float(tensor.std()) / math.sqrt(tensor.numel()), name
        if "rnn.weight" in name:
            assert float(tensor.abs().max()) <= math.sqrt(6 / 64) * (1 + 1e-6)
    again, other = initial_parameters(config, 1, worker), initial_parameters(config, 2, worker)
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    assert not np.array_equal(drawn["encoder.w"], other["encoder.w"])


NAMES = (
    "sha_rnn_jl/L2_cosine_lr05",
    "sha_rnn_jl/L2_linear_lr05_untied",
    "sha_rnn_jl/L3_h2_tied_b2",
    "smerity/L4_h1_tied_b2_lamb",
)


def recorded(name, worker):
    (found,) = optimisers.recorded_updates([Recording(name, PACKAGED / f"{name}.safetensors.xz")], worker)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_recorded_updates_are_julias(worker, name):
    found = recorded(name, worker)
    assert found, found
    assert found.updates == (5 if "smerity" in name else 3)
    assert found.compared > 60 * found.updates


WRONG = {
    "sha_rnn_jl/L2_cosine_lr05": ("JuliaRule", lambda **given: JuliaRule(**{**given, "schedule": "warmup_linear"}), 2),
    "sha_rnn_jl/L2_linear_lr05_untied": ("JuliaRule", lambda **given: JuliaRule(**{**given, "warmup": 0.3}), 1),
    "smerity/L4_h1_tied_b2_lamb": ("PaperRule", lambda **given: PaperRule(**{**given, "clip": 0.26}), 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_rule_is_not_the_recorded_one(worker, monkeypatch, name):
    """A schedule, a warm-up and a clip that the program did not run with, each found where it first has a say."""
    rule, other, first = WRONG[name]
    monkeypatch.setattr(optimisers, rule, other)
    assert recorded(name, worker).wrong.startswith(f"train/{first}/")


@pytest.mark.parametrize("program", ["julia", "paper"])
def test_an_update_carries_the_state_and_sums_gradients(worker, program):
    """It is that of the gradients of the segments one by one, with the state carried from each to the next."""
    rule = JuliaRule(lr=0.01, total=10) if program == "julia" else PaperRule(lr=0.01, warmup=3)
    start = {name: array.astype(np.float64) for name, array in initial_parameters(CONFIG, 0, worker).items()}
    segments = [segment(1, 4, begins=True), segment(2, 5), segment(3, 3, begins=True), segment(4, 4)]
    with JuliaTraining(CONFIG, start, rule, worker) as training:
        updates = [training.update(segments[:2]), training.update(segments[2:])]

    parameters, moments = start, None
    for number, (pair, done) in enumerate(zip((segments[:2], segments[2:]), updates, strict=True), start=1):
        model, state, total, losses = JuliaModel("reference", CONFIG, parameters, worker), None, {}, []
        for tokens, targets, begins in pair:
            output = model.run(tokens, targets, None if begins else state, gradients=True)
            state = output.state
            losses.append(output.loss)
            total = {name: total.get(name, 0.0) + gradient for name, gradient in output.gradients.items()}
        parameters, moments = lamb_update(rule, number, parameters, total, moments, worker)
        assert done.losses == losses
        for name, array in done.parameters.items():
            assert np.allclose(array, parameters[name], rtol=1e-12, atol=1e-15), f"update {number}: {name}"


def test_what_julia_does_not_train(worker):
    start = initial_parameters(CONFIG, 0, worker)
    with pytest.raises(ConfigError, match="semantics are not julia's"):
        initial_parameters(Config(vocab=7, emb=8, hidden=16, layers=3, semantics=PAPER), 0, worker)
    with pytest.raises(WeightsError, match=r"missing \['encoder\.w'\]"):
        JuliaTraining(CONFIG, {n: a for n, a in start.items() if n != "encoder.w"}, PaperRule(lr=0.1), worker)
    with pytest.raises(ConfigError, match="schedule is 'step'"):
        JuliaRule(lr=0.1, schedule="step")
    with pytest.raises(ConfigError, match="total is 0"):
        JuliaRule(lr=0.1, total=0)
    with JuliaTraining(CONFIG, start, PaperRule(lr=0.1), worker) as training:
        with pytest.raises(InputError, match="without segments"):
            training.update([])
        with pytest.raises(InputError, match="tokens run from 0 to 7"):
            training.update([Segment(np.full((2, 1), 7) * [[0], [1]], np.zeros((2, 1), np.int64), True)])
    with pytest.raises(JuliaError, match="KeyError"):
        training.update([segment(1, 2, begins=True)])
