"""What a server may be asked for, and how much of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from export.errors import whole_number

BODY_SECONDS = 30.0
"""How long a request may take to arrive."""
ESCAPED = 6
"""The most bytes of JSON that a byte of text takes, as in \\u000a."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The limits of a server. Raises `ConfigError` for one that is not a whole number of at least 1."""

    queue: int = 64
    """Texts that may wait for a slot; more are refused."""
    max_prompt_bytes: int = 1 << 20
    """Bytes, or ids, of a request's text."""
    max_tokens: int = 4096
    """Tokens that a request may draw for each text."""
    max_seconds: int = 300
    """Seconds from a request to its end."""
    max_sequences: int = 1000
    """Sequences that clients may keep open."""
    state: Path | None = None
    """The folder of snapshots; None for none."""
    keys: tuple[str, ...] = ()
    """One of these has to be shown; none for no keys."""
    loopback: bool = True
    """Whether only programs on this machine can connect."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name not in ("state", "keys", "loopback"):
                whole_number(1, field.name, getattr(self, field.name))

    @property
    def max_body(self) -> int:
        """The most bytes of a request's JSON."""
        return ESCAPED * self.max_prompt_bytes + (64 << 10)
