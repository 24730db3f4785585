"""`sharnn yarn`: search by a model's sense of a text, on either back end."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from export.text_cli import FOLDER, place_options
from sharnn_py.waiting import wait_asleep

if TYPE_CHECKING:
    from rich.console import Console

    from sharnn_py.yarn.finding import Finder, Found
    from sharnn_py.yarn.reading import Reader

TEXT = click.Path(exists=True, dir_okay=False, path_type=Path)
INDEX = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
MODEL = click.option(
    "--model", type=FOLDER, metavar="MODEL", help="The checkpoint or export. Default: the one that the index is of."
)


@click.group()
def yarn() -> None:
    """Search by a model's sense of a text: its phrases as vectors of hidden states, in a database of vectors."""


@yarn.command("index")
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True, type=TEXT)
@click.option("--model", type=FOLDER, required=True, metavar="MODEL", help="A checkpoint or an export.")
@click.option("-o", "--output", type=INDEX, required=True, metavar="INDEX", help="The folder of the index.")
@click.option(
    "--cut",
    default="sentences",
    show_default=True,
    metavar="BY",
    help="What a phrase is: lines, sentences, verses, or a number of bytes.",
)
@click.option("--replace", is_flag=True, help="Read texts anew that have changed since.")
@place_options
def index_command(texts: tuple[Path, ...], model: Path, output: Path, cut: str, replace: bool, **where: Any) -> None:
    """Read every TEXT with MODEL, and make its phrases searchable in INDEX.

    What is interrupted goes on where it was with the same command, and texts may be added later.
    """
    from sharnn_py.console import console
    from sharnn_py.yarn.indexing import index

    shown = console(sys.stderr)
    index(output, texts, _reader(model, where), model, cut, lambda line: _say(shown, line), replace)


@yarn.command("find")
@click.argument("index", metavar="INDEX", type=INDEX)
@click.argument("words", required=False)
@click.option("--like", metavar="POSITION", help='Phrases like the one there: "Matthew 3:2", "line 17", or its number.')
@click.option("--unlike", metavar="POSITION", help="And unlike this one.")
@click.option("--mix", nargs=2, metavar="POSITION POSITION", help="Phrases between these two.")
@click.option("--walk", is_flag=True, help="From the best one on, each time to the nearest that was not seen yet.")
@click.option("--source", "sources", multiple=True, metavar="NAME", help="In this text only; may be repeated.")
@click.option(
    "--by",
    type=click.Choice(["both", "sense", "words"]),
    default="both",
    show_default=True,
    help="What WORDS are compared by: the model's vectors, BM25, or both.",
)
@click.option("-n", "count", type=click.IntRange(min=1, max=10000), default=10, show_default=True, help="How many.")
@click.option(
    "--context",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Phrases to show before and after each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@MODEL
@place_options
def find_command(
    index: Path, words: str | None, like: str | None, unlike: str | None, mix: tuple[str, str] | None, walk: bool,
    sources: tuple[str, ...], by: str, count: int, context: int, as_json: bool, model: Path | None, **where: Any,
) -> None:  # fmt: skip
    """Find phrases in INDEX: by WORDS, or like the phrase at a position of a text."""
    given = [name for name, value in (("WORDS", words), ("--like", like), ("--mix", mix)) if value is not None]
    if len(given) != 1:
        raise click.UsageError(
            f"give one of WORDS, --like and --mix; {' and '.join(given) or 'none of them'} was given"
        )
    if words is not None and not words.strip():
        raise click.UsageError("the words to look for are empty; give a word or more")
    if by != "both" and words is None:
        raise click.UsageError("--by is for WORDS; positions are compared by sense")
    if unlike is not None and by == "words":
        raise click.UsageError("--unlike is about sense; leave --by words out")
    from sharnn_py.console import console
    from sharnn_py.yarn.finding import Finder, away, between

    finder = Finder(index)
    finder.require_sources(sources)
    for line in finder.changed():
        click.echo(f"note: {line}", err=True)
    seen: list[int] = []
    begin = vector = None
    if words is None:
        positions = [finder.phrase(position) for position in (mix or (like or "",))]
        vectors = [finder.vector(phrase.id) for phrase in positions]
        vector = vectors[0] if mix is None else between(*vectors)
        seen = [phrase.id for phrase in positions]
        begin = positions[0] if mix is None else None
    elif by != "words":
        vector = finder.vector_of_words(words, _reader(model or Path(finder.manifest.folder), where))
    if unlike is not None:
        other = finder.phrase(unlike)
        assert vector is not None
        vector = away(vector, finder.vector(other.id))
        seen, begin = [*seen, other.id], None

    if words is None or by == "sense" or unlike is not None:
        assert vector is not None
        found = [] if walk and begin else finder.near(vector, 1 if walk else count, sources, seen)
    elif by == "words":
        found = finder.worded(words, 1 if walk else count, sources)
    else:
        assert vector is not None
        found = finder.fused(words, vector, 1 if walk else count, sources)
    if walk and (begin or found):
        found = finder.walk(begin or found[0], count, sources)
    if as_json:
        click.echo(
            json.dumps({"found": [_as_json(finder, one, context) for one in found]}, indent=2, ensure_ascii=False)
        )
    else:
        _print(finder, found, context, console())


@yarn.command("page")
@click.argument("index", metavar="INDEX", type=INDEX)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write the page to this file.")
@click.option("--serve", is_flag=True, help="Serve the page, on this machine alone, with search by the model.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="For --serve; 0 for any.")
@MODEL
@place_options
def page_command(index: Path, output: Path | None, serve: bool, port: int, model: Path | None, **where: Any) -> None:
    """Write a page with a map of the texts in INDEX, or serve it; it asks nothing of any other machine."""
    if (output is None) == (not serve):
        raise click.UsageError("give either -o FILE, to write the page, or --serve")
    from sharnn_py.files import write_text
    from sharnn_py.yarn.finding import Finder
    from sharnn_py.yarn.page import render

    finder = Finder(index)
    if output is not None:
        if not output.parent.is_dir():
            raise click.UsageError(f"{output}: there is no folder {output.parent}")
        write_text(output, render(finder, served=False))
        click.echo(f"{output}: open it in a browser", err=True)
        return
    from sharnn_py.yarn.serving import serve_page

    reader = _reader(model or Path(finder.manifest.folder), where)
    finder.manifest.require_model(reader.session.identity, index)
    serve_page(finder, reader, port, lambda line: click.echo(line, err=True))


@yarn.command("parallels")
@click.argument("text", type=TEXT)
@click.option("--model", type=FOLDER, required=True, metavar="MODEL", help="A checkpoint or an export.")
@click.option(
    "-o",
    "--output",
    type=INDEX,
    required=True,
    metavar="INDEX",
    help="The folder of the index of its verses, which is made if need be.",
)
@click.option("--json", "json_path", type=FILE, help="Write the numbers to this file as well.")
@place_options
def parallels_command(text: Path, model: Path, output: Path, json_path: Path | None, **where: Any) -> None:  # fmt: skip
    """Measure how well a verse's known parallels are found in TEXT, the King James Bible.

    By the model's vectors, by BM25, by hashed n-grams, by random vectors, and by BM25 with either kind of vectors.
    """
    if json_path is not None and not json_path.parent.is_dir():
        raise click.UsageError(f"{json_path}: there is no folder {json_path.parent}")
    from sharnn_py.console import console
    from sharnn_py.files import write_text
    from sharnn_py.yarn.finding import Finder
    from sharnn_py.yarn.indexing import index
    from sharnn_py.yarn.measuring import measure, table

    shown = console(sys.stderr)
    index(output, [text], _reader(model, where), model, "verses", lambda line: _say(shown, line))
    measured = measure(Finder(output))
    console().print(table(measured))
    if json_path is not None:
        write_text(json_path, json.dumps([asdict(row) for row in measured], indent=2) + "\n")


def _reader(model: Path, where: dict[str, Any]) -> Reader:
    wait_asleep()
    from export.text_cli import open_session
    from sharnn_py.yarn.errors import IndexFolderError
    from sharnn_py.yarn.reading import Reader

    if not model.is_dir():
        raise IndexFolderError(f"{model}, the model of the index, is not there any more; say where it is with --model")
    return Reader(open_session(model, **where))


def _say(shown: Console, line: str) -> None:
    shown.print(line, markup=False, highlight=False, soft_wrap=True)


def _as_json(finder: Finder, found: Found, context: int) -> dict[str, Any]:
    before, after = finder.context(found, context) if context else ([], [])
    return {**asdict(found), "before": [one.text for one in before], "after": [one.text for one in after]}


def _print(finder: Finder, found: list[Found], context: int, shown: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if not found:
        shown.print("nothing was found", markup=False)
    for rank, one in enumerate(found, start=1):
        before, after = finder.context(one, context) if context else ([], [])
        name = f"  {one.source}" if len(finder.sources) > 1 else ""
        shown.print(
            Text.assemble((f"{rank:3}  ", "dim"), (one.place, "bold"), (f"  {one.score:.3f}  #{one.id}{name}", "dim"))
        )
        for text, style in (
            *((line.text, "dim") for line in before), (one.text, ""), *((line.text, "dim") for line in after),
        ):  # fmt: skip
            shown.print(Padding(Text(text, style), (0, 0, 0, 5 if style == "" else 7), expand=False))
