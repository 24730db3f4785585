"""What a run says, or ends with, when its loss is not what it should be."""

import math

import pytest
import torch

from sharnn_py.trainer.watch import TrainingError, Watch, entropy_of


def said(losses, entropy=2.0):
    watch = Watch()
    return [remark for n, loss in enumerate(losses, 1) if (remark := watch.see(n, loss, entropy))]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run(loss):
    with pytest.raises(TrainingError, match=f"the loss of update 3 is {loss}.* Try a lower rate"):
        said([1.0, 1.0, loss])


def test_a_run_in_order_says_nothing():
    assert said([3 * 0.99**n for n in range(1000)]) == []


def test_a_spike_is_spoken_of_once_and_a_divergence_ends_the_run():
    calm = [1.0] * 200
    assert said([*calm, 3.0, 2.9, *calm]) == ["the loss rose from 1.44 to 4.33 bits a token at update 201"]
    with pytest.raises(TrainingError, match=r"the loss has diverged: .* after 1.44 before"):
        said([*calm, *[4.0] * 50])


def test_a_run_that_learns_only_frequencies_is_told_so_once_and_early():
    assert len(said([2.0] * 1000)) == 1
    assert "nothing was learnt but how frequent each token is: 2.89 bits a token" in said([2.0] * 300)[0]
    assert said([2.0] * 299) == []


def test_entropy():
    assert entropy_of(torch.tensor([0, 1, 0, 1], dtype=torch.uint8)) == pytest.approx(math.log(2))
    assert entropy_of(torch.tensor([5, 5])) == 0
