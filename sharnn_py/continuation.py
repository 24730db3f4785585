"""What goes on with a sequence besides its state, so that a text can be continued as if it had never been stopped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Continuation:
    """What the last tokens left: the next ones can be drawn without feeding anything again."""

    logits: NDArray[np.float32]
    """(B, V) logits of the next token of each sequence."""
    tokens: NDArray[np.int64]
    """(B,) the token of each sequence that was fed last."""
    unfinished: bytes = b""
    """The bytes of a character that generated text ends within; b"" after anything but generated text."""
    seed: int | None = None
    """The seed that the last token was drawn with; None if the session did not draw it."""
    drawn: int = 0
    """How many random numbers of that seed were used."""
    slot: int | None = None
    """The slot of the ring (`export.serving.ring`) that comes next, where the memory is in one."""
