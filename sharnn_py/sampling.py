"""Drawing the next token from logits, on the host, so that equal logits and an equal seed give equal tokens on any
back end."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharnn_py.errors import ConfigError, InputError


class Draws:
    """The random numbers of a seed, in [0, 1), from the one after the first `drawn` of them."""

    def __init__(self, seed: int, drawn: int = 0) -> None:
        bits = np.random.PCG64(seed)
        bits.advance(drawn)  # one step of it makes one number
        self.seed, self.drawn = seed, drawn
        self._generator = np.random.Generator(bits)

    def random(self) -> float:
        """The next number."""
        self.drawn += 1
        return self._generator.random()


@dataclass(frozen=True)
class Sampling:
    """How to draw a token from logits. Raises `ConfigError` for settings out of range."""

    temperature: float = 1.0
    """Logits are divided by it. 0 takes the most likely token; of equally likely ones, the one with the lowest id."""
    top_k: int | None = None
    """Draw from the k most likely tokens; of equally likely ones, the lower ids come first."""
    top_p: float | None = None
    """Draw from the smallest set of most likely tokens whose probabilities, at this temperature, reach p together."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ConfigError(f"temperature is {self.temperature}; it must be a number of at least 0")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}; it must be at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}; it must be above 0 and at most 1")

    def draw(self, logits: NDArray[np.float32], generator: np.random.Generator | Draws) -> int:
        """An id drawn from `logits` (V,). Raises `InputError` if they contain NaN or have no finite maximum."""
        scores = logits.astype(np.float64)
        if np.isnan(scores).any() or not np.isfinite(scores.max()):
            raise InputError("the model gives logits that are not numbers; nothing can be drawn from them")
        order = np.argsort(-scores, kind="stable")  # most likely first, ties by the lowest id
        if self.temperature == 0:
            return int(order[0])
        order = order[: self.top_k]
        with np.errstate(over="ignore"):  # a temperature near 0 may reach -inf, which is a probability of 0
            weights = np.exp((scores[order] - scores[order[0]]) / self.temperature)
        total = np.cumsum(weights)
        if self.top_p is not None:
            kept = int(np.searchsorted(total, self.top_p * total[-1])) + 1
            total = total[:kept]
        drawn = int(np.searchsorted(total, generator.random() * total[-1], side="right"))
        return int(order[min(drawn, len(total) - 1)])  # rounding may draw past the end
