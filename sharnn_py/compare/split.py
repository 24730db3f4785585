"""What of a text is trained on, what settings are chosen on, and what is held out."""

from __future__ import annotations

from dataclasses import dataclass

from sharnn_py.errors import InputError

HELD_OUT = 0.02
"""The share of a text's bytes, at its end, that is held out; as much before it is what settings are chosen on."""
SHORTEST = 5000
"""The fewest bytes of a text: a hundred of them are held out."""


@dataclass(frozen=True)
class Split:
    """A text in three parts, in this order: `fit`, `validation`, `held_out`."""

    fit: bytes
    """What models are trained on."""
    validation: bytes
    """What settings and weights of mixtures are chosen on: the last part of the training text."""
    held_out: bytes
    """What is scored in the end, once: the last floor(0.02 n) of the text's n bytes."""


def split(text: bytes) -> Split:
    """`text` in its three parts. Raises `InputError` for fewer than `SHORTEST` bytes."""
    if len(text) < SHORTEST:
        raise InputError(
            f"the text has {len(text):,} bytes; {SHORTEST:,} are needed, of which the last {HELD_OUT:.0%} are held out"
        )
    held_out = int(HELD_OUT * len(text))
    training, last = text[:-held_out], text[-held_out:]
    return Split(training[:-held_out], training[-held_out:], last)
