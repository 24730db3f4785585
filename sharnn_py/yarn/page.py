"""The page of an index: one HTML file with a map of its phrases, which opens from disk and asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sharnn_py.yarn.finding import Finder
from sharnn_py.yarn.plane import laid_out

FOLDER = Path(__file__).parent / "map"
MOST = 60_000
"""The most phrases of a page; of more, evenly spread ones are shown, so that the page stays quick."""


def render(finder: Finder, served: bool) -> str:
    """The page. One that is `served` asks its server to search by sense; any other searches for letters alone.

    Computing the map takes a minute for tens of thousands of phrases; it is kept in the index's folder. Raises
    `IndexFolderError`, `MissingPackage` for what makes the map, `OSError`.
    """
    every = finder.everything()
    count = len(every.ids)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(np.int64))
    positions, nearest = laid_out(every.vectors[chosen], finder.folder / f"map-{finder.manifest.edition}.npz")
    numbers = {name: number for number, name in enumerate(finder.sources)}
    data = {
        "sources": finder.sources,
        "x": positions[:, 0].tolist(),
        "y": positions[:, 1].tolist(),
        "near": nearest.tolist(),
        "id": [every.ids[i] for i in chosen],
        "source": [numbers[every.sources[i]] for i in chosen],
        "place": [every.places[i] for i in chosen],
        "text": [every.texts[i] for i in chosen],
    }
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _read("map.css"), _read("map.js")
    return environment.get_template("map.html.j2").render(
        title=", ".join(finder.sources[:3]) + (" and more" if len(finder.sources) > 3 else ""),
        count=count,
        shown=len(chosen),
        served=served,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script, served),
        data=Markup(_as_script(data)),
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _policy(style: str, script: str, served: bool) -> str:
    """What the page may do: run its own style and script, and nothing else; if served, ask its server."""
    own = {kind: f"'sha256-{_digest(text)}'" for kind, text in (("style", style), ("script", script))}
    asks = "connect-src 'self'; " if served else ""
    return f"default-src 'none'; {asks}img-src data:; style-src {own['style']}; script-src {own['script']}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _as_script(data: object) -> str:
    """JSON that holds nothing that could end the script element around it."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
