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
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot(
        xscale="log", xlabel="seconds of CPU", ylabel="bits per byte of the held-out text (less is better)"
    )
    for row in sorted(rows, key=lambda row: row.bits_per_byte):
        axes.plot(row.cpu_seconds, row.bits_per_byte, "o", label=f"{row.bits_per_byte:.3f}  {row.name}")
    figure.legend(loc="outside right upper")
    picture = io.BytesIO()
    figure.savefig(picture, format=_format(path), dpi=150)
    write_bytes(path, picture.getvalue())
