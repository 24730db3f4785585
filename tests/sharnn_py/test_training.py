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
    with pytest.raises(InputError, match="no segments"):
        evaluate(model, [])


@pytest.mark.parametrize("lamb", [julia_lamb, paper_lamb])
def test_training_lowers_the_loss(config, lamb):
    # A stream of period 4, which two dozen updates learn to better than a uniform guess.
    data = lay_out([1, 2, 3, 4] * 200, 2)
    model = SHARNN(config, torch.Generator().manual_seed(0))
    reports = list(train(model, segments(data, 10), lamb(model, lr=0.02), report_every=10))
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
        list(train(model, segments(data, 8), Spy(model.parameters(), lr=0.0), accumulate=accumulate))
        return list(steps)

    alone, three = run(1), run(3)
    assert len(alone) == 4
    assert len(three) == 2
    torch.testing.assert_close(three[0], sum(alone[:3]), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(three[1], alone[3], rtol=1e-5, atol=1e-7)


def test_fault_report_iter_below_50_is_a_divide_error__any_count_from_1_will_do(config, data):
    model = SHARNN(config)
    reports = list(train(model, segments(data, 8), julia_lamb(model), report_every=1))
    assert [r.updates for r in reports] == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match="report_every 0"):
        next(train(model, [], julia_lamb(model), report_every=0))
