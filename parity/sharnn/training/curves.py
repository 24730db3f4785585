"""Curves over updates as SVG that stands in the page: nothing is fetched, and the colours are the page's style's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 10, 10, 30
"""Room around the curves, for the numbers on the axes."""


@dataclass(frozen=True)
class Curve:
    """Values at updates 1, 2, ...; those that cannot be drawn, as NaN, leave a gap."""

    style: str
    """The class that draws it (curves.css)."""
    values: Sequence[float]
    area: bool = False
    """Whether what lies below it is filled, in place of a line."""


def chart(name: str, curves: Sequence[Curve], logarithmic: bool, mark: int | None) -> Markup:
    """The curves in one picture called `name`, with a line at update `mark` if one is given."""
    drawn = [v for curve in curves for v in curve.values if math.isfinite(v) and (v > 0 or not logarithmic)]
    length = max((len(curve.values) for curve in curves), default=1)
    low, high = _limits(drawn, logarithmic)

    def x(update: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (update - 1) / max(length - 1, 1)

    def y(value: float) -> float:
        share = (math.log10(value / low) / math.log10(high / low)) if logarithmic else (value - low) / (high - low)
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)

    parts = [_axes(length, low, high, logarithmic, x, y)]
    for curve in curves:
        points = [
            (x(number), y(value))
            for number, value in enumerate(curve.values, start=1)
            if math.isfinite(value) and (value > 0 or not logarithmic)
        ]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        if curve.area and points:
            floor = HEIGHT - BOTTOM
            corners = f"{points[0][0]:.1f},{floor} {path} {points[-1][0]:.1f},{floor}"
            parts.append(f'<polygon class="{curve.style}" points="{corners}"/>')
        elif points:
            parts.append(f'<polyline class="{curve.style}" points="{path}"/>')
    if mark is not None:
        parts.append(f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    return Markup(
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
    ) + Markup("".join(parts) + "</svg>")


def _limits(drawn: list[float], logarithmic: bool) -> tuple[float, float]:
    if not drawn:
        return (1.0, 10.0) if logarithmic else (0.0, 1.0)
    low, high = min(drawn), max(drawn)
    if logarithmic:
        bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return 10.0**bottom, 10.0 ** max(top, bottom + 1)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _axes(length: int, low: float, high: float, logarithmic: bool, x, y) -> str:  # type: ignore[no-untyped-def]
    if logarithmic:
        exponents = range(round(math.log10(low)), round(math.log10(high)) + 1)
        ticks = [(10.0**e, f"1e{e}") for e in exponents][:: max(1, len(exponents) // 6)]
    else:
        ticks = [(v, f"{v:.3g}") for v in (low + (high - low) * i / 4 for i in range(5))]
    parts = []
    for value, words in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 6}" y="{y(value) + 4:.1f}">{words}</text>')
    for update in sorted({1, *(round(length * i / 4) or 1 for i in range(1, 5))}):
        parts.append(f'<text class="tick middle" x="{x(update):.1f}" y="{HEIGHT - 10}">{update:,}</text>')
    return "".join(parts)
