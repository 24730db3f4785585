"""The rows of a comparison as a picture: bits per byte against seconds of CPU."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from sharnn_py.compare.result import Row
from sharnn_py.errors import ConfigError
from sharnn_py.files import write_bytes


def require_format(path: Path) -> None:
    """Raise `ConfigError` unless the name of `path` ends in a format that matplotlib writes: .png, .svg, .pdf."""
    formats = FigureCanvasBase.get_supported_filetypes()
    if _format(path) not in formats:
        raise ConfigError(f"{path} does not end in the name of a picture's format; use one of {', '.join(formats)}")


def _format(path: Path) -> str:
    return path.suffix.lstrip(".").lower()


def write_plot(rows: Sequence[Row], path: Path) -> None:
    """Write the picture to `path`, in the format that its name ends in. Raises `OSError`."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(
        xscale="log", xlabel="seconds of CPU", ylabel="bits per byte of the held-out text (less is better)"
    )
    for row in rows:
        axes.plot(row.cpu_seconds, row.bits_per_byte, "o")
        axes.annotate(row.name, (row.cpu_seconds, row.bits_per_byte), xytext=(5, 5), textcoords="offset points")
    axes.margins(x=0.25, y=0.15)
    picture = io.BytesIO()
    figure.savefig(picture, format=_format(path), dpi=150)
    write_bytes(path, picture.getvalue())
