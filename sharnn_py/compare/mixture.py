"""Several models as one: each byte's probability is the weighted mean of what the models give it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ENOUGH = 1e-9
"""Bits a byte below which a step of `best_weights` is the last."""


def mixed(bits: Floats, weights: Floats) -> Floats:
    """The code length of each byte under the mixture, bits, (n,): -log2 sum_m w_m 2^-bits_m.

    `bits` (models, n) is what each model spends on each byte, `weights` (models,) adds up to one.
    """
    shortest = bits.min(axis=0)
    lengths: Floats = shortest - np.log2(weights @ np.exp2(shortest - bits))
    return lengths


def best_weights(bits: Floats) -> Floats:
    """The weights, (models,), under which the bytes of `bits` (models, n) cost least.

    The mean code length is convex in the weights, and expectation maximisation (Dempster, Laird and Rubin 1977) from
    equal weights goes down to its minimum.
    """
    probability = np.exp2(bits.min(axis=0) - bits)  # up to a factor of each byte
    weights = np.full(len(bits), 1 / len(bits))
    before = np.inf
    while True:
        joint = weights[:, None] * probability
        total = joint.sum(axis=0)
        cost = -np.log2(total).mean()
        if before - cost < _ENOUGH:
            return weights
        before = cost
        weights = (joint / total).mean(axis=1)
