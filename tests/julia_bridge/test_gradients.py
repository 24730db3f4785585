"""Gradients of the reference statement in Julia, against torch's and against SHA-RNN.jl's recorded ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from julia_bridge import JuliaModel
from parity import PACKAGED, Recording
from parity.sharnn.header import segment_count
from parity.sharnn.live import random_case, recorded_case
from parity.sharnn.names import intermediates
from parity.tolerance import ROUNDING_RUNS, UNIT, allowed, nudge
from sharnn_py import JULIA, SHARNN, Config, ConfigError, from_julia, nll, to_julia

pytestmark = pytest.mark.usefixtures("installation")


def run_in_julia(case, worker, dtype):
    parameters = {name: p.numpy().astype(dtype) for name, p in case.parameters.items()}
    model, state = JuliaModel("reference", case.config, parameters, worker), None
    for tokens, targets in case.segments:
        output = model.run(tokens.numpy(), targets.numpy(), state, gradients=True)
        state = output.state
        yield tokens, targets, output


def relative(found, expected):
    return float(np.abs(found - expected).max()) / max(float(np.abs(expected).max()), 1e-30)


class Torch:
    """The port in float64 on a case, segment after segment; its gradients under Julia's names and in its layout."""

    def __init__(self, case):
        self.config, self.state = case.config, None
        self.model = SHARNN(case.config).double().eval()
        self.model.load_state_dict(from_julia(case.parameters, case.config))
        self.table = intermediates("julia", case.config)

    def run(self, tokens, targets):
        seen = {}

        def note(name, tensor):
            if tensor.requires_grad:
                tensor.retain_grad()
                seen[name] = tensor

        self.model.zero_grad()
        logits, self.state = self.model(tokens, self.state, note)
        nll(logits, targets).backward()
        by_parameter = {name: p.grad for name, p in self.model.named_parameters()}
        within = {
            self.table[name][0]: self.table[name][1].to_recorded(x.grad).numpy()
            for name, x in seen.items()
            if name in self.table and x.grad is not None
        }
        return {n: g.numpy() for n, g in to_julia(by_parameter, self.config).items()}, within


def assert_close(found, expected, what):
    assert found.keys() == expected.keys(), what
    for name, gradient in expected.items():
        assert found[name].shape == gradient.shape, name
        assert relative(found[name], gradient) < 1e-9, f"{what} {name}"


@pytest.mark.parametrize("seed", range(30, 36))
def test_in_float64_gradients_are_torchs(worker, seed):
    """For every parameter and every intermediate, over segments with carried state. The two sums differ in their order
    alone: 1e-9 of the largest number is far above what that does in float64, and far below any fault."""
    case = random_case(seed)
    port = Torch(case)
    for number, (tokens, targets, output) in enumerate(run_in_julia(case, worker, np.float64), start=1):
        by_parameter, within = port.run(tokens, targets)
        assert len(within) > 10
        assert_close(output.gradients, by_parameter, f"segment {number}, by")
        assert_close(output.activation_gradients, within, f"segment {number}, at")


@pytest.mark.parametrize("kept", [1, 5])
def test_targets_left_out_of_the_loss_have_no_gradient(worker, kept):
    case = random_case(31, [6])
    tokens, targets = case.segments[0]
    targets = torch.full_like(targets, -1).index_put((torch.arange(kept), torch.tensor([0])), targets[:kept, 0])
    case = replace(case, segments=[(tokens, targets)])
    _, _, output = next(run_in_julia(case, worker, np.float64))
    by_parameter, within = Torch(case).run(tokens, targets)
    assert_close(output.gradients, by_parameter, "by")
    assert_close(output.activation_gradients, within, "at")
    assert not output.activation_gradients["logits"][targets.numpy() == -1].any()


@pytest.mark.parametrize("seed", [31, 34])
def test_what_has_no_gradient(worker, seed):
    """There is no gradient by intermediates that no parameter reaches, or that are only carried on, nor by the loss."""
    case = random_case(seed)
    *_, (_, _, output) = run_in_julia(case, worker, np.float32)
    without = output.intermediates.keys() - output.activation_gradients.keys()
    never = {"x", "y", "loss", "mask", "maxmem", "mem_start_idx", "hidden_h", "hidden_c", "new_mem", "mem_in", "size"}
    assert without == {name for name in output.intermediates if never & set(name.split("."))}
    assert {array.dtype.name for array in output.activation_gradients.values()} == {"float32"}


RECORDED = sorted(path.name.removesuffix(".safetensors.xz") for path in (PACKAGED / "sha_rnn_jl").glob("L*.xz"))


@pytest.mark.parametrize("name", RECORDED)
def test_gradients_are_those_that_were_recorded(worker, name):
    """SHA-RNN.jl's own, by AutoGrad, in every segment: the reference in float64 is no further from them than docs/
    tolerance.md allows for what rounding does to the reference in float32."""
    recording = Recording(name, PACKAGED / f"sha_rnn_jl/{name}.safetensors.xz")
    case = recorded_case(recording)
    nudged = [
        replace(case, parameters={n: nudge(p, run, n) for n, p in case.parameters.items()})
        for run in range(ROUNDING_RUNS)
    ]
    truth = run_in_julia(case, worker, np.float64)
    rounded = zip(*(run_in_julia(other, worker, np.float32) for other in nudged), strict=True)
    for segment, ((*_, exact), runs) in enumerate(zip(truth, rounded, strict=True), start=1):
        recorded = recording.group(f"grad/{segment}/")
        assert recorded.keys() - exact.gradients.keys() == {"loss"}
        for parameter, gradient in exact.gradients.items():
            rounding = max(np.abs(output.gradients[parameter] - gradient).max() for *_, output in runs)
            scale = np.abs(gradient).max()
            assert rounding <= 1e-3 * scale, f"segment {segment}: float32 says nothing about {parameter}"
            error = np.abs(recorded[parameter].numpy() - gradient).max()
            assert error <= allowed(rounding, scale, UNIT[torch.float32]), f"segment {segment}: {parameter}"
    assert segment == segment_count(recording)


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


def test_a_constant_row_gives_nan_where_torch_does(worker):
    """So does SHA-RNN.jl: the deviation of a constant row has a slope of 0/0. What comes before it is NaN, no more."""
    case = random_case(32)
    case.parameters["encoder.w"][0] = 0.5
    tokens, targets = case.segments[0]
    case = replace(case, segments=[(tokens.clone(), targets)])
    case.segments[0][0][0, 0] = 0
    _, _, output = next(run_in_julia(case, worker, np.float64))
    by_parameter, within = Torch(case).run(*case.segments[0])
    assert np.isfinite(output.loss)
    assert np.isnan(output.activation_gradients["embed"][0, 0]).all()
    for found, expected in ((output.gradients, by_parameter), (output.activation_gradients, within)):
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(gradient), err_msg=name)
            there = ~np.isnan(gradient)
            assert not there.any() or relative(found[name][there], gradient[there]) < 1e-9, name
    assert not all(np.isnan(gradient).any() for gradient in output.gradients.values())


def test_more_than_one_portion_comes_whole(worker):
    """Julia hands out 64 MB at a time, or one larger array; here are both."""
    config = Config(vocab=1030, emb=8, hidden=16, layers=2, max_memory=8, semantics=JULIA)
    case = replace(random_case(0), config=config, parameters=to_julia(SHARNN(config).state_dict(), config))
    ids = torch.randint(0, 1030, (129, 128), generator=torch.Generator().manual_seed(0))
    (_, _, small), (_, _, large) = (
        next(run_in_julia(replace(case, segments=[(ids[:steps], ids[1 : steps + 1])]), worker, np.float32))
        for steps in (4, 128)
    )
    assert large.logits.nbytes > 2**26
    for found, first in ((large.intermediates, small.intermediates), (large.gradients, small.gradients)):
        assert list(found) == list(first)
    assert list(large.activation_gradients) == list(small.activation_gradients)
    # The last of them, by what makes it: softmax less the target, over the tokens counted.
    expected = torch.from_numpy(large.logits).double().softmax(-1)
    expected = (expected - torch.nn.functional.one_hot(ids[1:129], 1030)) / ids[1:129].numel()
    assert list(large.activation_gradients)[-1] == "logits"
    assert relative(large.activation_gradients["logits"], expected.numpy()) < 1e-6


def test_upstream_gives_no_gradients(worker, monkeypatch, tmp_path):
    case = random_case(30)
    assert case.config.semantics == JULIA
    monkeypatch.setattr("julia_bridge.sharnn.model.model_source", lambda path: tmp_path / "model.jl")
    model = JuliaModel("upstream", case.config, {n: p.numpy() for n, p in case.parameters.items()}, worker)
    with pytest.raises(ConfigError, match='the source "reference" gives gradients'):
        model.run(*(ids.numpy() for ids in case.segments[0]), gradients=True)
