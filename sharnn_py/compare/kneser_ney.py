"""A byte n-gram with interpolated, modified Kneser-Ney smoothing (Chen and Goodman, TR-10-98, section 4.1.6).

The probability of byte w after the k - 1 bytes h, h' being h without its first byte:

    P_k(w | h) = (c(h w) - D(c(h w))) / c(h .) + gamma(h) P_{k-1}(w | h')
    gamma(h) = (D_1 N_1(h) + D_2 N_2(h) + D_3 N_3+(h)) / c(h .)

where N_j(h) is the number of bytes that followed h j times. c counts occurrences at the highest order; below it, it
counts the different bytes seen before h w (the text's beginning is one of them), which is what makes it Kneser-Ney. P_0
is uniform over the 256 bytes, and a context that was never followed by anything leaves P_{k-1} as it is. So every
distribution sums to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharnn_py.errors import ConfigError, InputError

BYTES = 256
_NEVER = -1

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """What the n-grams of one length k say: a table of grams, and one of the contexts that they begin with."""

    keys: Ints
    """Of each gram, in increasing order: 256 times the number of its context among the grams of length k - 1, plus its
    last byte, (grams,). A gram's own number is its place here."""
    discounted: Floats
    """(c - D(c)) / c(h .) of each gram, (grams,)."""
    gamma: Floats
    """What each context leaves to the next shorter one, (contexts,); 1 where nothing followed it."""

    def find(self, context: Ints, byte: Ints) -> Ints:
        """The number of each gram, -1 if it is not there; `context` may hold -1, all arrays (n,)."""
        wanted = context * BYTES + byte
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where((context >= 0) & (self.keys[at] == wanted), at, _NEVER)


class KneserNey:
    """An n-gram model of bytes, fitted to `text`: grams of up to `order` bytes, so contexts of up to `order` - 1.

    `discounts` is "formula" for the discounts of Chen and Goodman, estimated at each order from how many grams were
    counted once, twice, three and four times; or one number in (0, 1) to take from every count, as in plain Kneser-Ney
    smoothing. It holds 24 bytes for each different gram, and needs some 60 more for each byte of the text while it is
    fitted.

    Raises `ConfigError` for an order below 1 or a discount outside (0, 1), `InputError` for a text without a byte.
    """

    def __init__(self, text: bytes, order: int, discounts: str | float = "formula") -> None:
        if order < 1:
            raise ConfigError(f"order is {order}; an n-gram has at least 1 byte")
        if isinstance(discounts, str) and discounts != "formula":
            raise ConfigError(f"discounts is {discounts!r}; it must be 'formula' or a number between 0 and 1")
        if not isinstance(discounts, str) and not 0 < discounts < 1:
            raise ConfigError(f"discounts is {discounts}; a discount is between 0 and 1")
        if not text:
            raise InputError("the text is empty; a model of n-grams is fitted to at least one byte")
        self.order = order
        self._orders: list[Order] = []
        self._tail = text[-(order - 1) :] if order > 1 else b""
        data = np.frombuffer(text, np.uint8).astype(np.int64)
        keys, numbers, counts = _distinct(data)
        contexts = 1  # of length 0
        for k in range(1, order + 1):
            # numbers[i] is the number of the k-gram that begins at byte i.
            if k < order and k < len(data):
                longer = _distinct(numbers[:-1] * BYTES + data[k:])
                adjusted = _different_before(longer, numbers, len(keys))
            else:
                longer, adjusted = None, counts
            self._orders.append(_smoothed(keys, adjusted, contexts, discounts))
            if longer is None:
                break
            contexts = len(keys)
            keys, numbers, counts = longer

    @property
    def parameters(self) -> int:
        """How many numbers the model holds: one for each gram, one for each context."""
        return sum(len(level.keys) + len(level.gamma) for level in self._orders)

    def log2_probabilities(self, text: bytes) -> Floats:
        """log2 of the probability of each byte of `text`, which follows the text fitted to, (len(text),)."""
        data, contexts = self._contexts(text)
        p = np.full(len(text), 1 / BYTES)
        for level, context in zip(self._orders, contexts, strict=False):
            gram = level.find(context, data)
            p *= np.where(context >= 0, level.gamma[context], 1.0)
            p += np.where(gram >= 0, level.discounted[gram], 0.0)
        log2: Floats = np.log2(p)
        return log2

    def distributions(self, text: bytes) -> Floats:
        """The probability of each of the 256 bytes at each place of `text`, given all before it, (len(text), 256)."""
        _, contexts = self._contexts(text)
        every = np.arange(BYTES)
        p = np.full((len(text), BYTES), 1 / BYTES)
        for level, context in zip(self._orders, contexts, strict=False):
            gram = level.find(np.repeat(context, BYTES), np.tile(every, len(text))).reshape(-1, BYTES)
            p *= np.where(context >= 0, level.gamma[context], 1.0)[:, None]
            p += np.where(gram >= 0, level.discounted[gram], 0.0)
        return p

    def _contexts(self, text: bytes) -> tuple[Ints, list[Ints]]:
        """The bytes of `text`, and for each length the number of the context before each of them, -1 if unseen."""
        known = np.frombuffer(self._tail + text, np.uint8).astype(np.int64)
        start = len(self._tail)
        contexts = [np.zeros(len(text), np.int64)]
        numbers = np.zeros(len(known) + 1, np.int64)  # of the gram of the present length that ends before byte i
        for level in self._orders[:-1]:
            longer = level.find(numbers[:-1], known)
            numbers = np.concatenate([[_NEVER], longer])
            contexts.append(numbers[start:-1])
        return known[start:], contexts


def _distinct(grams: Ints) -> tuple[Ints, Ints, Ints]:
    """The different keys among `grams`, in increasing order, the number of each gram, and how often each was there."""
    keys, numbers, counts = np.unique(grams, return_inverse=True, return_counts=True)
    return keys, numbers.astype(np.int64), counts.astype(np.int64)


def _different_before(longer: tuple[Ints, Ints, Ints], numbers: Ints, grams: int) -> Ints:
    """Of each of the k-grams, how many different bytes came before it; the beginning of the text counts as one."""
    keys, longer_numbers, _ = longer
    first = np.empty(len(keys), np.int64)
    first[longer_numbers[::-1]] = np.arange(len(longer_numbers))[::-1]
    different = np.bincount(numbers[first + 1], minlength=grams)  # each different longer gram, without its first byte
    different[numbers[0]] += 1
    return different


def _smoothed(keys: Ints, counts: Ints, contexts: int, discounts: str | float) -> Order:
    """One order from its grams' keys and counts, (grams,) each."""
    by_count = _formula(counts) if isinstance(discounts, str) else np.array([0.0, discounts, discounts, discounts])
    discount = by_count[np.minimum(counts, 3)]
    context = keys // BYTES
    total = np.bincount(context, counts, minlength=contexts)
    left = np.bincount(context, discount, minlength=contexts)
    followed = total > 0
    gamma = np.divide(left, total, out=np.ones(contexts), where=followed)
    return Order(keys, (counts - discount) / total[context], gamma)


def _formula(counts: Ints) -> Floats:
    """What is taken from a count of 0, 1, 2 and 3 or more, (4,).

    D_j = j - (j + 1) Y n_{j+1} / n_j and Y = n_1 / (n_1 + 2 n_2), n_j being how many grams were counted j times. Where
    these are too few, so that it divides by nothing, or gives less than nothing or more than the count, D_j is 1/2.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)
    found = np.zeros(4)
    for j in (1, 2, 3):
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.0
        value = j - (j + 1) * y * n[j + 1] / n[j] if n[j] else 0.0
        found[j] = value if 0 < value < j else 0.5
    return found
