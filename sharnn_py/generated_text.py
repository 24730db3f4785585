"""The text of one sequence while it is generated: its random numbers, its characters, and where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharnn_py.continuation import Continuation
from sharnn_py.sampling import Draws, Sampling
from sharnn_py.stop import Stop
from sharnn_py.text import NEWLINE, Decoder
from sharnn_py.vocabulary import Vocabulary


@dataclass
class GeneratedText:
    """What is drawn and read of one sequence."""

    draws: Draws
    decoder: Decoder
    stop: Stop
    left: int
    """How many tokens are still to be drawn."""

    @classmethod
    def after(
        cls, vocabulary: Vocabulary, last: Continuation, prompted: bool, n: int, seed: int | None, stop: Sequence[str]
    ) -> GeneratedText:
        """A text of `n` tokens after what the `last` tokens of one sequence left.

        Without a prompt it goes on with the random numbers that drew these, unless another `seed` is given; else it
        begins with those of `seed`, 0 unless given. Raises `ConfigError` for a `stop` that is not a list of texts.
        """
        goes_on = not prompted and last.seed is not None and seed in (None, last.seed)
        draws = Draws(last.seed, last.drawn) if goes_on and last.seed is not None else Draws(seed or 0)
        return cls(draws, Decoder(vocabulary, int(last.tokens[0]), last.unfinished), Stop(stop), n)

    def draw(self, logits: NDArray[np.float32], sampling: Sampling) -> tuple[int, str]:
        """The next token, from `logits` (V,), and what can be read with it. After its end a text is of line breaks."""
        if self.ended:
            return NEWLINE, ""
        token = sampling.draw(logits, self.draws)
        self.left -= 1
        text = self.stop.feed(self.decoder.feed(token))
        return token, text if self.left or self.stop.reached else text + self.stop.finish()

    @property
    def ended(self) -> bool:
        """Whether it has as many tokens as were asked for, or has reached a text where it stops."""
        return self.stop.reached or not self.left
