"""Ending generated text before the first of some texts, wherever its pieces are cut."""

from __future__ import annotations

from collections.abc import Sequence

from sharnn_py.errors import ConfigError


class Stop:
    """What is to be read of a text that comes in pieces: all that is before the first of `stops`, and not that."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Raises `ConfigError` unless `stops` is a list of texts, none of them empty."""
        if isinstance(stops, str) or not all(isinstance(stop, str) and stop for stop in stops):
            raise ConfigError(f"stop is {stops!r}; it must be a list of texts, none of them empty")
        self.reached = False
        self._stops = tuple(stops)
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be read after `piece`; the beginning of what may become a stop is held back until it is known."""
        text = self._held + piece
        found = self._first(text)
        held = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        if found is not None and found <= len(text) - held:  # no other stop may still turn out to begin before it
            self.reached, self._held = True, ""
            return text[:found]
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back, at the end of the text."""
        held, self._held = self._held, ""
        found = self._first(held)
        self.reached = self.reached or found is not None
        return held[:found]

    def _first(self, text: str) -> int | None:
        """Where in `text` the first stop begins, if one is in it."""
        return min((at for at in map(text.find, self._stops) if at >= 0), default=None)
