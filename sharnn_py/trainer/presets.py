"""The named settings of `sharnn train --preset`, read from `presets.toml`, where the source of each number is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sharnn_py.trainer.length import Length
from sharnn_py.trainer.settings import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT = "laptop-10m"


@dataclass(frozen=True)
class Preset:
    """Settings with a name, and what they are for."""

    description: str
    """One line for whoever chooses."""
    settings: Settings
    """The model, its optimiser and its batches."""
    length: Length
    """How long it trains unless told otherwise."""
    text: str | None
    """The text that it was made for, if any."""


@cache
def presets() -> dict[str, Preset]:
    """All presets, by name."""
    listed = tomllib.loads(Path(__file__).with_name("presets.toml").read_text(encoding="utf-8"))
    return {
        name: Preset(
            values["description"],
            Settings(**values["settings"]),
            Length(minutes=values.get("minutes"), epochs=values.get("epochs")),
            values.get("text"),
        )
        for name, values in listed.items()
    }
