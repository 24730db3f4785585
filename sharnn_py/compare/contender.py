"""What takes part in a comparison: something that is fitted to a text with some settings, and then reads on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sharnn_py.errors import SharnnError

Settings = Mapping[str, int | float | str]
"""What a contender can be set to, by name."""


class Failed(SharnnError):
    """A training that came to nothing with these settings; others may do."""


def told(settings: Settings) -> str:
    """Settings in words."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


class Reader(Protocol):
    """A fitted model, which reads on where the text that it was fitted to ends."""

    @property
    def parameters(self) -> int | None:
        """How many numbers the model was fitted with; None where it has no such number."""

    @property
    def bytes_seen(self) -> int:
        """How many bytes it was fitted to, those that it went over again counted again."""

    def read(self, text: bytes) -> NDArray[np.float64]:
        """The bits that each byte of `text` costs, told before the model has seen it, (len(text),).

        What is read next follows `text`, and the model may learn from `text` before it.
        """


class Contender(Protocol):
    """A kind of model with the settings that are tried for it."""

    @property
    def name(self) -> str:
        """What the model is called, in the table and by `--only`."""

    @property
    def settings(self) -> tuple[Settings, ...]:
        """As many settings as are tried for every contender: `sharnn_py.compare.search.TRIALS`."""

    def fit(self, text: bytes, minutes: float, settings: Settings) -> Reader:
        """A model fitted to `text` in at most about `minutes` of wall-clock time. Raises `Failed`."""
