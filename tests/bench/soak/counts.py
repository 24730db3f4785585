"""What happened in a soak, counted by many threads."""

from __future__ import annotations

import threading
from collections import Counter


class Counts:
    """Requests, tokens, faults by kind, and what was lost or wrong."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.found: dict[str, list[str]] = {"lost": [], "wrong": []}
        """A sentence for each sequence or snapshot that was lost, and for each answer that was wrong."""
        self.asked = self.drawn = 0
        self._lock = threading.Lock()

    def count(self, kind: str) -> None:
        """Count one of its kind."""
        with self._lock:
            self.kinds[kind] += 1

    def requests(self, n: int) -> None:
        """Count requests."""
        with self._lock:
            self.asked += n

    def tokens(self, n: int) -> None:
        """Count tokens that were compared."""
        with self._lock:
            self.drawn += n

    def wrong(self, kind: str, sentence: str) -> None:
        """Remember what was "lost" or "wrong"."""
        with self._lock:
            self.found[kind].append(sentence)
