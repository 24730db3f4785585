"""Mixtures of models, and the weights that are best for them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharnn_py.compare.mixture import best_weights, mixed

BITS = st.integers(1, 3).flatmap(
    lambda models: st.lists(st.lists(st.floats(0.01, 60), min_size=models, max_size=models), min_size=1, max_size=20)
).map(lambda rows: np.array(rows).T)  # fmt: skip


def test_the_mixture_is_that_of_probabilities():
    bits = np.array([[1.0, 3.0], [2.0, 1.0]])
    assert mixed(bits, np.array([0.25, 0.75])) == pytest.approx(-np.log2([0.125 + 0.1875, 0.03125 + 0.375]), rel=1e-14)


@settings(deadline=None)
@given(BITS)
def test_the_best_weights_are_a_distribution_and_no_worse_than_any_model_alone(bits):
    weights = best_weights(bits)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert weights.min() >= 0
    cost = mixed(bits, weights).mean()
    assert cost <= bits.mean(axis=1).min() + 1e-4  # it stops where steps gain less than 1e-9


def test_the_best_weights_are_the_best_on_a_grid():
    bits = np.random.default_rng(1).uniform(0.5, 6, (2, 500))
    grid = np.linspace(0, 1, 1001)
    best = min(grid, key=lambda w: mixed(bits, np.array([w, 1 - w])).mean())
    assert best_weights(bits)[0] == pytest.approx(best, abs=2e-3)


def test_what_one_model_finds_impossible_the_other_pays_for():
    assert mixed(np.array([[5000.0], [1.0]]), np.array([0.5, 0.5])) == pytest.approx([2.0])
