"""The contenders that count: PPMd, and n-grams with Kneser-Ney smoothing. Minutes are no matter to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sharnn_py.compare.contender import Settings
from sharnn_py.compare.kneser_ney import KneserNey

if TYPE_CHECKING:
    from sharnn_py.compare.ppmd import Ppmd


class PpmdContender:
    """PPMd, variant H: how long the contexts are, and in how much memory."""

    name = "ppmd"
    settings: tuple[Settings, ...] = (
        {"order": 5, "megabytes": 256},
        {"order": 6, "megabytes": 256},
        {"order": 8, "megabytes": 256},
        {"order": 8, "megabytes": 32},
        {"order": 10, "megabytes": 256},
        {"order": 12, "megabytes": 256},
    )

    def fit(self, text: bytes, minutes: float, settings: Settings) -> Ppmd:
        """PPMd after it has read `text`. Raises `MissingPackage`."""
        from sharnn_py.compare.ppmd import Ppmd  # pyppmd may not be installed, and the others go without

        model = Ppmd(int(settings["order"]), int(settings["megabytes"]))
        model.learn(text)
        return model


class KneserNeyReader:
    """An n-gram model that is fitted anew to all that was read before each text that it reads."""

    def __init__(self, text: bytes, settings: Settings) -> None:
        self._text, self._settings = text, settings
        self.parameters = 0

    @property
    def bytes_seen(self) -> int:
        """How many bytes were read, each counted once."""
        return len(self._text)

    def read(self, text: bytes) -> NDArray[np.float64]:
        """The bits that each byte of `text` costs a model of what was read before, (len(text),)."""
        discounts = self._settings["discounts"]
        model = KneserNey(self._text, int(self._settings["order"]), discounts)
        self.parameters = model.parameters
        self._text += text
        bits: NDArray[np.float64] = -model.log2_probabilities(text)
        return bits


class KneserNeyContender:
    """N-grams with Kneser-Ney smoothing: how long they are, and whether their discounts are estimated or one number."""

    name = "kneser-ney"
    settings: tuple[Settings, ...] = (
        {"order": 6, "discounts": "formula"},
        {"order": 8, "discounts": "formula"},
        {"order": 9, "discounts": "formula"},
        {"order": 10, "discounts": "formula"},
        {"order": 8, "discounts": 0.9},
        {"order": 10, "discounts": 0.9},
    )

    def fit(self, text: bytes, minutes: float, settings: Settings) -> KneserNeyReader:
        """A model that is fitted to `text`, and to what it reads, when it reads on."""
        return KneserNeyReader(text, settings)
