"""The n-gram model against the formulas, computed one at a time with dictionaries."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharnn_py.compare.kneser_ney import KneserNey
from sharnn_py.errors import ConfigError, InputError
from tests.sharnn_py.compare.text import text

SUM = 1e-12
"""256 terms, each rounded to 2^-53 of itself some ten times, add up to one within 1e-14."""
TEXTS = st.binary(min_size=1, max_size=60) | st.lists(st.sampled_from(b"abc"), min_size=1, max_size=200).map(bytes)


def counts_of(data, k, order):
    """The count of each k-gram: occurrences at the highest order, below it different bytes before, or a beginning."""
    if k == order:
        return Counter(data[i : i + k] for i in range(len(data) - k + 1))
    before = {(data[i - 1 : i] if i else None, data[i : i + k]) for i in range(len(data) - k + 1)}
    return Counter(gram for _, gram in before)


def discounts_of(counts, discounts):
    if discounts != "formula":
        return {j: discounts for j in (1, 2, 3)}
    n = Counter(counts.values())
    found = {}
    for j in (1, 2, 3):
        larger = n[j + 1] if j + 1 < 5 else 0
        value = j - (j + 1) * n[1] / (n[1] + 2 * n[2]) * larger / n[j] if n[1] and n[j] else 0
        found[j] = value if 0 < value < j else 0.5
    return found


def probability(data, history, byte, k, order, discounts):
    if k == 0:
        return 1 / 256
    shorter = probability(data, history, byte, k - 1, order, discounts)
    if k - 1 > len(history):
        return shorter
    context = history[len(history) - (k - 1) :]
    counts = counts_of(data, k, order)
    following = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
    if not following:
        return shorter
    taken = discounts_of(counts, discounts)
    total, left = sum(following.values()), sum(taken[min(count, 3)] for count in following.values())
    count = following.get(byte, 0)
    return (count - (taken[min(count, 3)] if count else 0)) / total + left / total * shorter


@pytest.mark.parametrize("discounts", ["formula", 0.7])
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("data", [text(90), b"abracadabra abracadabra", b"aaaaaaa", b"x"])
def test_probabilities_are_those_of_the_formulas(data, order, discounts):
    following = b"the light abra aax"
    log2 = KneserNey(data, order, discounts).log2_probabilities(following)
    # Grams are no longer than the text they are counted in, so that the longest there can be are the highest order.
    highest = min(order, len(data))
    wanted = [
        probability(data, (data + following)[: len(data) + i][-(order - 1) :] if order > 1 else b"", byte, highest,
                    highest, discounts)
        for i, byte in enumerate(following)
    ]  # fmt: skip
    assert np.exp2(log2) == pytest.approx(wanted, rel=1e-12)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 9), st.sampled_from(["formula", 0.3, 0.9]))
def test_every_distribution_sums_to_one_and_has_the_probabilities_of_the_bytes(data, following, order, discounts):
    model = KneserNey(data, order, discounts)
    p = model.distributions(following)
    assert p.min() > 0
    assert p.sum(axis=1) == pytest.approx(np.ones(len(following)), abs=SUM)
    own = p[np.arange(len(following)), np.frombuffer(following, np.uint8)]
    assert model.log2_probabilities(following) == pytest.approx(np.log2(own), abs=SUM)


def test_a_byte_costs_what_it_does_whatever_follows_it():
    model = KneserNey(text(3000), 6)
    whole = model.log2_probabilities(text(200, seed=2))
    assert whole[:50].tolist() == model.log2_probabilities(text(200, seed=2)[:50] + b"????").tolist()[:50]


def test_longer_contexts_learn_what_shorter_ones_cannot():
    cost = [-KneserNey(text(20000), order).log2_probabilities(text(2000, seed=2)).mean() for order in (1, 3, 6)]
    assert cost[0] > cost[1] + 1 > cost[2] + 1


def test_parameters_are_the_grams_and_their_contexts():
    assert KneserNey(b"abab", 2).parameters == (2 + 1) + (2 + 2)  # a, b in one context; ab, ba in two


@pytest.mark.parametrize(("arguments", "error", "says"), [
    ((b"a", 0), ConfigError, "order is 0"),
    ((b"a", 2, "best"), ConfigError, "discounts is 'best'"),
    ((b"a", 2, 1.0), ConfigError, "discounts is 1.0"),
    ((b"", 2), InputError, "empty"),
])  # fmt: skip
def test_what_it_does_not_take(arguments, error, says):
    with pytest.raises(error, match=says):
        KneserNey(*arguments)
