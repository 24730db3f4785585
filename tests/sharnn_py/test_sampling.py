"""Tokens are drawn from the distribution that was asked for, and from nothing else."""

import numpy as np
import pytest

from sharnn_py import ConfigError, InputError
from sharnn_py.sampling import Sampling

LOGITS = np.log(np.array([0.1, 0.4, 0.05, 0.25, 0.2], np.float32))
DRAWS = 4_000


def frequencies(sampling, logits=LOGITS, seed=0):
    generator = np.random.default_rng(seed)
    drawn = [sampling.draw(logits, generator) for _ in range(DRAWS)]
    return np.bincount(drawn, minlength=len(logits)) / DRAWS


@pytest.mark.parametrize(("settings", "expected"), [
    ({}, [0.1, 0.4, 0.05, 0.25, 0.2]),
    ({"temperature": 0.5}, np.square([0.1, 0.4, 0.05, 0.25, 0.2]) / np.square([0.1, 0.4, 0.05, 0.25, 0.2]).sum()),
    ({"temperature": 1e6}, [0.2] * 5),
    ({"temperature": 1e-30}, [0, 1, 0, 0, 0]),
    ({"temperature": 0}, [0, 1, 0, 0, 0]),
    ({"top_k": 1}, [0, 1, 0, 0, 0]),
    ({"top_k": 2}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
    ({"top_k": 99}, [0.1, 0.4, 0.05, 0.25, 0.2]),
    ({"top_p": 1.0}, [0.1, 0.4, 0.05, 0.25, 0.2]),
    ({"top_p": 0.3}, [0, 1, 0, 0, 0]),
    ({"top_p": 0.6}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
    ({"top_k": 3, "top_p": 0.5}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),  # 0.4 of 0.85 is less than half
    ({"top_k": 3, "top_p": 0.45}, [0, 1, 0, 0, 0]),
])  # fmt: skip
def test_the_frequencies_are_the_distributions(settings, expected):
    found = frequencies(Sampling(**settings))
    # Four standard deviations of a binomial share; a probability of 0 allows none at all.
    allowed = 4 * np.sqrt(np.array(expected) * (1 - np.array(expected)) / DRAWS)
    assert (np.abs(found - expected) <= allowed).all()


def test_the_same_seed_draws_the_same_and_another_something_else():
    def drawn(seed):
        generator = np.random.default_rng(seed)
        return [Sampling().draw(LOGITS, generator) for _ in range(30)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_of_equals_the_lowest_id_is_first():
    equals = np.zeros(5, np.float32)
    assert Sampling(temperature=0).draw(equals, np.random.default_rng(0)) == 0
    assert set(np.flatnonzero(frequencies(Sampling(top_k=2), equals))) == {0, 1}


def test_large_logits_and_minus_infinity_are_no_trouble():
    logits = np.array([1e4, -np.inf, 1e4, -1e4], np.float32)
    assert set(np.flatnonzero(frequencies(Sampling(), logits))) == {0, 2}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_numbers_are_refused(value):
    with pytest.raises(InputError, match="logits that are not numbers"):
        Sampling().draw(np.array([0.0, value], np.float32), np.random.default_rng(0))


@pytest.mark.parametrize(("settings", "message"), [
    ({"temperature": -0.1}, "temperature is -0.1"), ({"temperature": float("nan")}, "temperature is nan"),
    ({"temperature": float("inf")}, "temperature is inf"), ({"top_k": 0}, "top_k is 0"), ({"top_p": 0.0}, "top_p is 0"),
    ({"top_p": 1.5}, "top_p is 1.5"), ({"top_p": float("nan")}, "top_p is nan"),
])  # fmt: skip
def test_settings_that_no_distribution_has_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(**settings)
