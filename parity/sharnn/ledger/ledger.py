"""The ledger: every known and explained difference between the two public programs, one entry each.

`ledger.toml` beside this file holds the entries; docs/ledger.md describes its fields and how to add one.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from parity.sharnn.ledger.entry import Entry, Size, Whose
from sharnn_py.errors import SharnnError

__all__ = ["Entry", "Ledger", "LedgerError", "Size", "load"]

PATH = Path(__file__).with_name("ledger.toml")
FORMAT = 1
"""The version of the file's format that this code reads."""


class LedgerError(SharnnError):
    """A ledger that cannot be read, or an entry that is not what an entry must be."""


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All entries, in the file's order."""

    version: int
    """The version of the content: it grows with every change of what the entries say."""
    entries: tuple[Entry, ...] = msgspec.field(name="entry")

    def __post_init__(self) -> None:
        for what in ("id", "switch"):
            given = [getattr(entry, what) for entry in self.entries if getattr(entry, what)]
            if twice := sorted({name for name in given if given.count(name) > 1}):
                raise ValueError(f"more than one entry has the {what} {twice[0]!r}")

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
        return [e for e in self.entries if any(fnmatchcase(name, pattern) for pattern in e.patterns(whose))]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"version": self.version, "entries": [entry.to_json() for entry in self.entries]}


def load(path: Path = PATH) -> Ledger:
    """Read a ledger. Raises `LedgerError` saying which entry is wrong, and how."""
    try:
        content = msgspec.toml.decode(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise LedgerError(f"the ledger {path} is not TOML: {error}") from error
    given = content.pop("format", None)
    if given != FORMAT:
        raise LedgerError(f"the ledger {path}: format is {given}; this version of sharnn reads format {FORMAT}")
    try:
        return msgspec.convert(content, Ledger)
    except msgspec.ValidationError as error:
        raise LedgerError(f"the ledger {path}: {_in_words(str(error), content)}") from None


def _in_words(message: str, content: dict[str, Any]) -> str:
    """What msgspec says, with the entry's number and id in place of its path."""
    what, _, where = message.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    if found := re.match(r"entry\[(\d+)\]", where):
        number = int(found[1])
        entry = content["entry"][number]
        name = f" ({entry['id']})" if isinstance(entry, dict) and "id" in entry else ""
        where = f"entry {number + 1}{name}{where[found.end() :]}"
    return f"{where.replace('.', ', ') or 'the file'}: {what}"
