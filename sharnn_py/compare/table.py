"""The rows of a comparison as a table for reading."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sharnn_py.compare import published
from sharnn_py.compare.result import Row

COLUMNS = ("model", "bits per byte", "CPU s", "wall s", "parameters", "bytes seen", "note")


def print_table(rows: Sequence[Row], out: Console) -> None:
    """Print `rows`, the best first, and apart from them what the paper reports for another text."""
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("model", "note") else "right", overflow="fold")
    for row in sorted(rows, key=lambda row: row.bits_per_byte):
        parameters = "-" if row.parameters is None else f"{row.parameters:,}"
        table.add_row(
            row.name, f"{row.bits_per_byte:.4f}", f"{row.cpu_seconds:,.1f}", f"{row.wall_seconds:,.1f}", parameters,
            f"{row.bytes_seen:,}", row.note,
        )  # fmt: skip
    out.print(table)
    out.print(f"\nNot measured here, and not of this text: {published.CONDITIONS}\n({published.SOURCE}):")
    for name, bits in published.FIGURES.items():
        out.print(f"  {bits:.3f}  {name}")
