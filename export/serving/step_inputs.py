"""What the host gives the `step` graph: ids, who takes the step, and where each sequence's ring stands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharnn_py.config import Config

GIVEN = ("tokens", "due", "slots", "held", "numbers")
"""What the host gives. All else is state: it is written where it was read from."""


def step_inputs(
    config: Config,
    tokens: NDArray[np.int64],
    due: NDArray[np.bool_],
    slots: NDArray[np.int64],
    held: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """The inputs of a step by name, given (B,) of each: the id, whether it takes the step, the slot that its row is
    written to, and how many slots then hold a row."""
    given: dict[str, NDArray[Any]] = {"tokens": tokens, "due": due[:, None]}
    if config.attention_layers:
        given["slots"] = rows_and_slots(config, slots)
        given["held"] = np.repeat(held, config.heads)[:, None, None]
    return given


def rows_and_slots(config: Config, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B * heads, 2): each row of the rings and the slot of its sequence, of `slots` (B,)."""
    return np.stack([np.arange(len(slots) * config.heads), np.repeat(slots, config.heads)], axis=1)
