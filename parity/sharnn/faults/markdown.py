"""The catalogue of faults as Markdown, without planting any."""

from collections.abc import Iterable, Sequence

from parity.sharnn.faults.catalogue import FAULTS
from parity.sharnn.faults.fault import Fault
from parity.sharnn.faults.plant import Edit

COLUMNS = ("fault", "place", "what is wrong", "the change", "shows first", "explained by", "breaks")


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, one line a row, each ending its line."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def catalogue(faults: Sequence[Fault] = FAULTS) -> str:
    """What each fault changes, what shows it and where first, what explains it, and which laws it breaks."""
    return markdown(COLUMNS, map(_row, faults))


def _row(fault: Fault) -> tuple[str, ...]:
    change = fault.change
    text = f"{_code(change.old)} to {_code(change.new)}" if isinstance(change, Edit) else f"now {_code(change.new)}"
    shown = f"`{fault.first}` of {fault.recording}" if fault.recording else ""
    hints = [] if fault.hint is None else [_code(fault.hint)]
    hints += [f"{words} ({where})" for where, words in fault.scenes.items()]
    laws = [f"`{law}` on {backend}" for backend, law in fault.laws.items()]
    where = change.where.replace(":", ".")
    return (fault.name, fault.place, fault.what, f"`{where}`: {text}", shown, "; ".join(hints), "; ".join(laws))


def _code(text: str) -> str:
    """`text` as code in a cell of one line, whatever it contains."""
    return f"`` {' '.join(text.split())} ``"
