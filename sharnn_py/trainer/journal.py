"""What a run has done so far, row by row: a CSV file, and events for TensorBoard where tensorboardX is installed."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from sharnn_py.errors import CheckpointError
from sharnn_py.files import write_text


@dataclass(frozen=True)
class Row:
    """A moment of a run."""

    update: int
    """Updates done."""
    epoch: float
    """Readings of the training text done."""
    seconds: float
    """Seconds since the run began, pauses between resumptions left out."""
    bytes: int
    """Bytes of text trained on, each as often as it was read."""
    bytes_per_second: float
    """Since the row before, by the clock."""
    rate: float
    """The learning rate."""
    train_bits: float
    """Mean loss since the row before, bits a byte, with dropout if there is any."""
    valid_bits: float | None
    """Bits a byte of the held-out text, if it was scored."""


COLUMNS = [field.name for field in fields(Row)]


class Journal:
    """The CSV file and the events of a run in `folder`, gone on with after update number `update`."""

    def __init__(self, folder: Path, update: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "log.csv"
        self.rows = [row for row in read_rows(self._file) if row.update <= update] if update else []
        write_text(self._file, _lines([COLUMNS, *map(astuple, self.rows)]))
        self._events = _events(folder / "tensorboard", update)

    def write(self, row: Row) -> None:
        """Add a row. Raises `OSError`."""
        self.rows.append(row)
        with self._file.open("a", encoding="utf-8", newline="") as file:
            file.write(_lines([astuple(row)]))
        if self._events is None:
            return
        for name in ("train_bits", "valid_bits", "rate", "bytes_per_second"):
            value = getattr(row, name)
            if value is not None:
                self._events.add_scalar(name, value, row.update)
        self._events.flush()

    def close(self) -> None:
        """Close the events' file."""
        if self._events is not None:
            self._events.close()


def read_rows(file: Path) -> list[Row]:
    """The rows of a run's CSV file; none if there is no such file. Raises `CheckpointError` if it is another file."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        names, *rows = list(csv.reader(lines)) or [[]]
    try:
        if names != COLUMNS:
            raise ValueError(f"its columns are {names}")
        return [_row(values) for values in rows]
    except ValueError as error:
        raise CheckpointError(f"{file} is not the log of a training run: {error}") from error


def _row(values: list[str]) -> Row:
    update, epoch, seconds, count, speed, rate, train, valid = values
    heard = float(valid) if valid else None
    return Row(int(update), float(epoch), float(seconds), int(count), float(speed), float(rate), float(train), heard)


def _lines(rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _events(folder: Path, update: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=update + 1 if update else None)
