"""Texts of several sequences at once: each with its own prompt, random numbers and end, all in lock-step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sharnn_py.errors import ConfigError, InputError
from sharnn_py.generated_text import GeneratedText
from sharnn_py.sampling import Draws, Sampling
from sharnn_py.stop import Stop
from sharnn_py.text import Decoder
from sharnn_py.vocabulary import Vocabulary

Feed = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""From ids to the logits of what follows each."""


def matrix_of(prompts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The ids of prompts as (T, B). Raises `InputError` unless all have as many tokens."""
    lengths = sorted({len(ids) for ids in prompts})
    if len(lengths) > 1:
        raise InputError(
            f"the prompts have {' and '.join(map(str, lengths))} tokens; the sequences of a session move in lock-step, "
            "with as many memory rows in each, so prompts that are generated from together must have equally many "
            "tokens: give those of each length in a call of their own"
        )
    return np.stack(prompts, axis=1)


def counts_of(n: int | Sequence[int], seeds: Sequence[int] | None, batch: int) -> tuple[list[int], list[int]]:
    """How many tokens are drawn for each of `batch` sequences, and with which seed.

    Raises `ConfigError` unless there is one of each for each sequence, whole numbers of at least 0.
    """
    each = [n] * batch if isinstance(n, int) else list(n)
    of = list(range(batch)) if seeds is None else list(seeds)
    for name, values in (("n", each), ("seeds", of)):
        if len(values) != batch:
            raise ConfigError(f"{name} has {len(values)} numbers for {batch} prompts; give one for each")
        if min(values, default=0) < 0:
            raise ConfigError(f"{name} is {values}; each must be at least 0")
    return each, of


def generate_batch(
    prefill: Feed,
    step: Feed,
    prompts: NDArray[np.int64],
    vocabulary: Vocabulary,
    sampling: Sampling,
    counts: Sequence[int],
    seeds: Sequence[int],
    stop: Sequence[str],
    segment: int,
) -> Iterator[tuple[int, str]]:
    """Feed prompts (T, B) by `prefill`, then draw tokens and feed them by `step` until every sequence has ended.

    Yields (number of the sequence, piece of its text).
    """
    each = zip(prompts[-1], counts, seeds, strict=True)
    texts = [GeneratedText(Draws(seed), Decoder(vocabulary, int(after)), Stop(stop), n) for after, n, seed in each]
    for start in range(0, len(prompts), segment):
        logits = prefill(prompts[start : start + segment])[-1]  # (B, V)
    while not all(text.ended for text in texts):
        drawn = [text.draw(row, sampling) for text, row in zip(texts, logits, strict=True)]
        logits = step(np.array([token for token, _ in drawn]))
        yield from ((b, piece) for b, (_, piece) in enumerate(drawn) if piece)
