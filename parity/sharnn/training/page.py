"""The result as one HTML page that opens from disk and asks for nothing else."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from parity.report.html_page import jinja, style_alone
from parity.report.words import legible, short
from parity.sharnn.training import words
from parity.sharnn.training.compare import FACTOR
from parity.sharnn.training.curves import Curve, chart
from parity.sharnn.training.results import TrainingParity, Trajectory

HERE = Path(__file__).parent


def render(result: TrainingParity) -> str:
    """The page: the verdict, then for each training both losses and both distances as curves, and a table."""
    style, policy = style_alone((HERE / "curves.css").read_text("utf-8"))
    page = jinja(HERE).get_template("page.html.j2")
    context = dict(result=result, words=words, short=short, factor=FACTOR, losses=losses, distances=distances)
    return legible(page.render(**context, style=style, policy=policy))


def losses(found: Trajectory) -> Markup:
    """The picture of both losses."""
    curves = [
        Curve("julia", [m.julia_loss for m in found.updates]),
        Curve("port", [m.port_loss for m in found.updates]),
    ]
    return chart(f"Losses by {words.title(found)}", curves, logarithmic=False, mark=_mark(found))


def distances(found: Trajectory) -> Markup:
    """The picture of how far apart the parameters are, and of how far they may be."""
    curves = [
        Curve("band", [m.allowed for m in found.updates], area=True),
        Curve("spread", [m.spread for m in found.updates]),
        Curve("apart", [m.distance for m in found.updates]),
    ]
    return chart(f"Distances by {words.title(found)}", curves, logarithmic=True, mark=_mark(found))


def _mark(found: Trajectory) -> int | None:
    return None if found.first is None else found.first.measured.number
