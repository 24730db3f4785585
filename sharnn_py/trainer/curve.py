"""The picture of a run: bits a byte of training and of the held-out text, against the bytes that were read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sharnn_py.errors import InputError
from sharnn_py.files import beside
from sharnn_py.missing import explained
from sharnn_py.trainer.journal import Row


def draw(rows: Sequence[Row], path: Path, title: str) -> None:
    """Draw the curve of `rows` to the PNG file `path`.

    Raises `MissingPackage` without matplotlib, `InputError` where there are no rows, `OSError`.
    """
    if not rows:
        raise InputError(f"{path}: there is nothing to draw, as the run has written no row of its log yet")
    with explained("the picture of a run"):
        from matplotlib.figure import Figure  # no pyplot: nothing global, and no window
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    read = [row.bytes / 1e6 for row in rows]
    axes.plot(read, [row.train_bits for row in rows], color="#9aa7b5", linewidth=1, label="training text")
    scored = [(row.bytes / 1e6, row.valid_bits) for row in rows if row.valid_bits is not None]
    if scored:
        axes.plot(*zip(*scored, strict=True), color="#c2410c", marker="o", markersize=3, label="held-out text")
        at, best = min(scored, key=lambda point: point[1])
        axes.annotate(f"{best:.4f}", (at, best), xytext=(0, -14), textcoords="offset points", ha="center")
    axes.set(title=title, xlabel="million bytes read", ylabel="bits per byte")
    highest = sorted(row.train_bits for row in rows)[-max(1, len(rows) // 20)]  # the first rows would hide the rest
    lowest = min([row.train_bits for row in rows] + [bits for _, bits in scored])
    axes.set_ylim(lowest - 0.08 * (highest - lowest) - 1e-3, highest + 0.05 * (highest - lowest) + 1e-3)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    seconds = axes.secondary_xaxis("top", functions=_time_of(rows))
    seconds.set_xlabel("minutes")
    with beside(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _time_of(rows: Sequence[Row]):  # type: ignore[no-untyped-def]
    speed = rows[-1].bytes / 1e6 / max(rows[-1].seconds / 60, 1e-9) or 1.0
    return lambda read: read / speed, lambda minutes: minutes * speed
