"""A text with something to learn in it, of any length and the same every time."""

import random

WORDS = [b"in", b"the", b"beginning", b"was", b"light", b"and", b"darkness", b"upon", b"water", b"earth"]


def text(size, seed=1):
    drawn = random.Random(seed)
    return b" ".join(drawn.choice(WORDS) for _ in range(size))[:size]
