"""Loss over a data set, and the loop."""

import pytest
import torch

from sharnn_py import SHARNN, ConfigError, InputError, evaluate, julia_lamb, lay_out, nll, paper_lamb, segments, train


@pytest.fixture
def data():
    return lay_out(torch.randint(0, 11, (60,), generator=torch.Generator().manual_seed(0)).tolist(), 2)


def test_loss_weighs_segments_by_their_steps(model, data):
    state, total = None, 0.0
    for x, y in segments(data, 8):
        logits, state = model(x, state)
        total += float(nll(logits.detach(), y)) * len(x)
    found, after = evaluate(model, segments(data, 8))
    assert found == pytest.approx(total / 29, rel=1e-6)
    torch.testing.assert_close(after.layers[1].memory, state.layers[1].memory.detach(), rtol=1e-5, atol=1e-5)


def test_row_9_evaluation_from_carried_state_differs_from_a_reset_one(model, data):
    reset, state = evaluate(model, segments(data, 8))
    carried, _ = evaluate(model, segments(data, 8), state)
    assert abs(carried - reset) > 1e-4


def test_evaluation_leaves_the_mode_as_it_was(config, data):
    model = SHARNN(config).train()
    evaluate(model, segments(data, 8))
    assert model.training
    for state in (None, model(torch.zeros(1, 2, dtype=torch.long))[1]):
        with pytest.raises(InputError, match="no segments"):
            evaluate(model, [], state)


@pytest.mark.parametrize("lamb", [julia_lamb, paper_lamb])
def test_training_lowers_the_loss(config, lamb):
    # A stream of period 4, which two dozen updates learn to better than a uniform guess.
    data = lay_out([1, 2, 3, 4] * 200, 2)
    model = SHARNN(config, torch.Generator().manual_seed(0))
    reports = train(model, segments(data, 10), lamb(model, lr=0.02), report_every=10).reports
    assert [r.updates for r in reports] == [10, 20, 30, 40]
    assert reports[-1].loss < reports[0].loss - 0.3


def test_accumulated_gradients_are_summed_and_the_rest_is_used(config, data):
    steps = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            steps.append(self.param_groups[0]["params"][0].grad.clone())
            return super().step(closure)

    def run(accumulate):
        steps.clear()
        model = SHARNN(config, torch.Generator().manual_seed(0))
        train(model, segments(data, 8), Spy(model.parameters(), lr=0.0), accumulate=accumulate)
        return list(steps)

    alone, three = run(1), run(3)
    assert len(alone) == 4
    assert len(three) == 2
    torch.testing.assert_close(three[0], sum(alone[:3]), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(three[1], alone[3], rtol=1e-5, atol=1e-7)


def test_fault_report_iter_below_50_is_a_divide_error__any_count_from_1_will_do(config, data):
    model = SHARNN(config)
    trained = train(model, segments(data, 8), julia_lamb(model), report_every=1)
    assert [r.updates for r in trained.reports] == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match="report_every 0"):
        train(model, segments(data, 8), julia_lamb(model), report_every=0)


def test_training_reports_as_it_goes_and_returns_the_state_to_evaluate_from(config, data):
    model = SHARNN(config, torch.Generator().manual_seed(0))
    state = None
    for tokens, _ in segments(data, 8):
        state = model(tokens, state)[1]
    seen = []
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    trained = train(model, segments(data, 8), still, report_every=3, on_report=seen.append)
    assert tuple(seen) == trained.reports
    assert [r.updates for r in seen] == [3, 4]
    assert all(
        torch.equal(a, b)
        for ours, theirs in zip(trained.state.layers, state.layers, strict=True)
        for a, b in zip(ours.tensors(), theirs.tensors(), strict=True)
    )
    assert not any(t.requires_grad for layer in trained.state.layers for t in layer.tensors())


def test_training_on_nothing_is_an_error(config):
    model = SHARNN(config)
    with pytest.raises(InputError, match="no segments to train on"):
        train(model, iter([]), julia_lamb(model))
