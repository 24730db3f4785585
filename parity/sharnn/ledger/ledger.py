"""The ledger: every known and explained difference between the two public programs, one entry each.

`ledger.toml` beside this file holds the entries; docs/ledger.md describes its fields and how to add one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from parity.sharnn.ledger.entry import OVER, QUANTITIES, SWITCHES, Entry, Size, Whose
from sharnn_py.errors import SharnnError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Entry", "Ledger", "LedgerError", "Size", "load"]

PATH = Path(__file__).with_name("ledger.toml")
FORMAT = 1
"""The version of the file's format that this code reads."""


class LedgerError(SharnnError):
    """A ledger that cannot be read, or an entry that is not what an entry must be."""


@dataclass(frozen=True)
class Ledger:
    """All entries, in the file's order."""

    version: int
    """Of the content: it grows with every change of the entries."""
    entries: tuple[Entry, ...]

    @property
    def switches(self) -> tuple[str, ...]:
        """The switches that have an entry, in the entries' order."""
        return tuple(entry.switch for entry in self.entries if entry.switch)

    def by_switch(self, switch: str) -> Entry:
        """The entry of a switch. Raises `LedgerError` if there is none."""
        for entry in self.entries:
            if switch and entry.switch == switch:
                return entry
        raise LedgerError(f"the ledger has no entry for the switch {switch!r}; it has {', '.join(self.switches)}")

    def at(self, name: str, whose: Whose | None = None) -> list[Entry]:
        """The entries first seen at the tensor `name`: of the port, or of a recording of either program.

        Without `whose`, of any of them; a block's number is not the same in all.
        """
        return [e for e in self.entries if any(fnmatchcase(name, pattern) for pattern in e.where(whose))]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"version": self.version, "entries": [entry.to_json() for entry in self.entries]}


def load(path: Path = PATH) -> Ledger:
    """Read a ledger. Raises `LedgerError` saying which entry is wrong, and how."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LedgerError(f"the ledger {path} is not TOML: {error}") from error
    try:
        return _ledger(content)
    except _Malformed as error:
        raise LedgerError(f"the ledger {path}: {error}") from None


class _Malformed(Exception):
    """What is wrong, in words, without the file's name."""


Kind = type | tuple[type, ...]
FILE: dict[str, Kind] = {"format": int, "version": int, "entry": list}
TEXTS: dict[str, Kind] = {"id": str, "title": str, "julia": str, "paper": str}
REQUIRED: dict[str, Kind] = {**TEXTS, "where": dict, "since": dict, "evidence": list}
OPTIONAL: dict[str, Kind] = {"row": int, "switch": str, "size": list}
WHERE: dict[str, Kind] = {"port": list, "julia": list, "paper": list}
SINCE: dict[str, Kind] = {"julia": str, "paper": str}
SIZE: dict[str, Kind] = {"quantity": str, "low": (int, float), "high": (int, float), "over": str}


def _ledger(content: dict[str, Any]) -> Ledger:
    _check(content, "the file", FILE)
    if content["format"] != FORMAT:
        raise _Malformed(f"format is {content['format']}; this version of sharnn reads format {FORMAT}")
    entries = tuple(_entry(number, values) for number, values in enumerate(content["entry"], start=1))
    for what in ("id", "switch"):
        given = [getattr(entry, what) for entry in entries if getattr(entry, what)]
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise _Malformed(f"more than one entry has the {what} {twice[0]!r}")
    return Ledger(content["version"], entries)


def _entry(number: int, values: Any) -> Entry:
    label = f"entry {number}"
    if isinstance(values, dict) and "id" in values:
        label += f" ({values['id']})"
    _check(values, label, REQUIRED, OPTIONAL)
    _check(values["where"], f"{label}, where", WHERE)
    _check(values["since"], f"{label}, since", SINCE)
    switch = values.get("switch", "")
    if switch and switch not in SWITCHES:
        raise _Malformed(f"{label}: there is no switch {switch!r}; the switches are {', '.join(SWITCHES)}")
    sizes = [_size(size, f"{label}, size", QUANTITIES if switch else None) for size in values.get("size", [])]
    if not values["evidence"] or (switch and not sizes):
        raise _Malformed(f"{label}: it needs evidence" + (", and a size, for it has a switch" if switch else ""))
    plain = {name: value for name, value in values.items() if name not in ("where", "since", "size")}
    where = {f"where_{name}": patterns for name, patterns in values["where"].items()}
    since = {f"since_{name}": commit for name, commit in values["since"].items()}
    return Entry(**{"row": None, "switch": "", **plain, **where, **since, "sizes": sizes})


def _size(values: Any, label: str, quantities: dict[str, str] | None) -> Size:
    _check(values, label, SIZE)
    for name, known in (("quantity", quantities), ("over", OVER)):
        if known is not None and values[name] not in known:
            raise _Malformed(f"{label}: {name} is {values[name]!r}; it must be one of {', '.join(map(repr, known))}")
    if not 0 <= values["low"] <= values["high"]:
        raise _Malformed(f"{label}: low is {values['low']} and high {values['high']}; it must be 0 <= low <= high")
    return Size(**values)


def _check(values: Any, label: str, required: dict[str, Kind], optional: dict[str, Kind] | None = None) -> None:
    """Raise `_Malformed` unless `values` is a table of the required fields and no others but optional ones.

    A list is of text, or, where it holds entries or sizes, is looked at by those who read these.
    """
    if not isinstance(values, dict):
        raise _Malformed(f"{label} is {values!r}; it must be a table")
    kinds = {**required, **(optional or {})}
    missing, unknown = sorted(required.keys() - values.keys()), sorted(values.keys() - kinds.keys())
    if missing or unknown:
        raise _Malformed(
            f"{label}: missing {', '.join(missing) or 'nothing'}, unknown {', '.join(unknown) or 'nothing'}"
        )
    for name, value in values.items():
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            raise _Malformed(f"{label}: {name} is {value!r}; it must be {KINDS[kinds[name]]}")
        if isinstance(value, list) and name not in ("entry", "size") and not all(isinstance(v, str) for v in value):
            raise _Malformed(f"{label}: {name} is {value!r}; it must be a list of text")


KINDS: dict[Kind, str] = {
    str: "text",
    int: "a whole number",
    (int, float): "a number",
    list: "a list",
    dict: "a table",
}
