"""Finding phrases: by words, by likeness to a phrase, away from one, between two, and from each to the next.

Vectors have length one, so that their product is the cosine of the angle between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharnn_py.errors import InputError
from sharnn_py.yarn.indexing import sense_file
from sharnn_py.yarn.manifest import Manifest, digest
from sharnn_py.yarn.reading import Reader
from sharnn_py.yarn.sense import Sense, normalised
from sharnn_py.yarn.store import COLUMNS, PROBED, REFINED, Store, telling

CANDIDATES = 200
"""How many phrases each of the two rankings gives to what fuses them."""
WEIGHT = 1.0
"""What the share of the best cosine counts beside that of BM25's best; chosen on the Old Testament (docs/yarn.md)."""
SHOWN = ("id", "source", *COLUMNS)


@dataclass(frozen=True)
class Found:
    """A phrase, and how near it is."""

    id: int
    """Its number in the index."""
    source: str
    """The name of its text."""
    number: int
    """Its number in its text, from 0."""
    start: int
    """The offset of its first byte in its text."""
    end: int
    """The offset after its last byte."""
    place: str
    """What a reader calls its position."""
    text: str
    """The phrase, on one line."""
    score: float
    """How near it is; the cosine, for what is found by vectors alone."""


@dataclass(frozen=True)
class Everything:
    """All phrases of an index, in the order of their numbers."""

    ids: list[int]
    """Their numbers."""
    sources: list[str]
    """The names of their texts."""
    places: list[str]
    """What readers call their positions."""
    texts: list[str]
    """The phrases, each on one line."""
    vectors: NDArray[np.float32]
    """Their vectors, (phrases, D)."""


class Finder:
    """An index that is searched."""

    def __init__(self, folder: Path) -> None:
        """Open the index in `folder`. Raises `IndexFolderError` if it cannot be searched."""
        self.folder = folder
        self.manifest = Manifest.load(folder)
        self.manifest.require_whole(folder)
        self._store = Store(folder / "tables")
        self._table: Any = self._store.phrases(self.manifest.edition)
        self._sense: Sense | None = None

    @property
    def sources(self) -> list[str]:
        """The names of the texts that can be searched."""
        return [source.name for source in self.manifest.sources if source.sha256 in self.manifest.published]

    def changed(self) -> Iterator[str]:
        """A sentence for each text that is no longer what was indexed."""
        for source in self.manifest.sources:
            path = Path(source.path)
            if path.is_file() and (path.stat().st_size != source.bytes or digest(path.read_bytes()) != source.sha256):
                yield f"{source.path} has changed since it was indexed; the phrases are those of then"

    def require_sources(self, names: Sequence[str]) -> None:
        """Raise `InputError` unless all of `names` are texts of the index."""
        for name in names:
            if name not in self.sources:
                raise InputError(f"{name} is no text of {self.folder}; it has {', '.join(self.sources)}")

    def vector_of_words(self, words: str, reader: Reader) -> NDArray[np.float32]:
        """The vector (D,) of words, which `reader`, of the index's model, reads as a text of their own.

        Raises `IndexFolderError` for another model, `InputError` for no words, and for what the model cannot read.
        """
        self.manifest.require_model(reader.session.identity, self.folder)
        if self._sense is None:
            self._sense = Sense.load(sense_file(self.folder, self.manifest.edition))
        vector: NDArray[np.float32] = self._sense(reader.query(words)[None])[0]
        return vector

    def phrase(self, position: str) -> Found:
        """The phrase at a position: a place such as "Matthew 3:2", a number (`Found.id`), or SOURCE@PLACE.

        Raises `InputError` if there is none, or more than one.
        """
        source, _, place = position.rpartition("@")
        if position.isascii() and position.isdigit():
            where = f"id = {int(position)}"
        else:
            where = f"place = {_quoted(place)}" + (f" AND source = {_quoted(source)}" if source else "")
        rows = self._rows(where, 2)
        if not rows:
            raise InputError(
                f"no phrase is at {position!r}; give a place as results name it, such as "
                f"{self._rows('id = 0', 1)[0].place!r}, or the number of a phrase"
            )
        if len(rows) > 1:
            raise InputError(
                f"more than one phrase is at {position!r}; give {rows[0].source}@{place}, or its number: {rows[0].id}"
            )
        return rows[0]

    def vector(self, phrase: int) -> NDArray[np.float32]:
        """The vector (D,) of the phrase of this number."""
        rows = self._table.search().where(f"id = {phrase}").select(["vector"]).limit(1).to_arrow()
        found: NDArray[np.float32] = rows["vector"].combine_chunks().flatten().to_numpy()
        return found

    def near(
        self, vector: NDArray[np.float32], count: int, sources: Sequence[str] = (), without: Sequence[int] = ()
    ) -> list[Found]:
        """The `count` phrases nearest to `vector`, nearest first, of `sources` if given, but for those of `without`."""
        query = self._table.search(vector).distance_type("dot").nprobes(PROBED).refine_factor(REFINED)
        conditions = _conditions(sources, without)
        if conditions:
            query = query.where(conditions, prefilter=True)
        with telling(self.folder):
            rows = query.select([*SHOWN, "_distance"]).limit(count).to_list()
        return [_found(row, 1 - row["_distance"]) for row in rows]

    def worded(
        self,
        words: str,
        count: int,
        sources: Sequence[str] = (),
        without: Sequence[int] = (),
        below: int | None = None,
    ) -> list[Found]:
        """The `count` phrases that BM25 ranks first for `words`, with its scores; of numbers under `below` if given."""
        from lancedb.query import MatchQuery

        asked = MatchQuery(words, "text")  # type: ignore[call-arg]  # its hints leave out its defaults
        query = self._table.search(asked, query_type="fts")
        conditions = _conditions(sources, without, below)
        if conditions:
            query = query.where(conditions, prefilter=True)
        with telling(self.folder):
            rows = query.select([*SHOWN, "_score"]).limit(count).to_list()
        return [_found(row, row["_score"]) for row in rows]

    def fused(
        self,
        words: str,
        vector: NDArray[np.float32],
        count: int,
        sources: Sequence[str] = (),
        without: Sequence[int] = (),
    ) -> list[Found]:
        """The `count` best phrases by words and sense together (`fuse`), among the first `CANDIDATES` of either."""
        many = max(CANDIDATES, count)
        near = {found.id: found for found in self.near(vector, many, sources, without)}
        worded = {found.id: found for found in self.worded(words, many, sources, without)}
        scores = fuse(
            {one: found.score for one, found in worded.items()}, {one: found.score for one, found in near.items()}
        )
        together = near | worded
        return [replace(together[one], score=score) for one, score in list(scores.items())[:count]]

    def everything(self) -> Everything:
        """All phrases, by number, with their vectors."""
        with telling(self.folder):
            rows = self._table.search().select(["id", "source", "place", "text", "vector"]).to_arrow().sort_by("id")
        vectors: NDArray[np.float32] = rows["vector"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
        ids, sources, places, texts = (rows[name].to_pylist() for name in ("id", "source", "place", "text"))
        return Everything(ids, sources, places, texts, vectors)

    def walk(self, begin: Found, count: int, sources: Sequence[str] = ()) -> list[Found]:
        """The thread from phrase `begin`: each time the nearest phrase that is not in it yet, `count` of them."""
        thread = [replace(begin, score=1.0)]
        while len(thread) < count:
            near = self.near(self.vector(thread[-1].id), 1, sources, [found.id for found in thread])
            if not near:
                break
            thread += near
        return thread

    def context(self, found: Found, around: int = 1) -> tuple[list[Found], list[Found]]:
        """The phrases before and after one in its text, `around` of each."""
        rows = self._rows(
            f"id >= {found.id - around} AND id <= {found.id + around} AND source = {_quoted(found.source)}",
            2 * around + 1,
        )
        return [row for row in rows if row.id < found.id], [row for row in rows if row.id > found.id]

    def _rows(self, where: str, count: int) -> list[Found]:
        with telling(self.folder):
            rows = self._table.search().where(where).select(list(SHOWN)).limit(count).to_list()
        return sorted((_found(row, 0.0) for row in rows), key=lambda found: found.id)


def fuse(worded: Mapping[int, float], near: Mapping[int, float]) -> dict[int, float]:
    """Scores of words and sense together, best first: a share of BM25's best score, and `WEIGHT` of the best cosine's.

    Both are scores by number of phrase. What only one of them has found gets the least that the other has.
    """
    parts = [
        (shares, min(shares.values(), default=0.0), weight)
        for shares, weight in ((_shares(worded), 1.0), (_shares(near), WEIGHT))
    ]
    together = {
        one: sum(weight * shares.get(one, least) for shares, least, weight in parts) for one in sorted({*worded, *near})
    }
    return dict(sorted(together.items(), key=lambda item: -item[1]))


def _shares(scores: Mapping[int, float]) -> dict[int, float]:
    best = max(scores.values(), default=0.0)
    return {one: score / best if best > 0 else 0.0 for one, score in scores.items()}


def away(vector: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """`vector` without what it has in common with `other`: what is like the one and unlike the other."""
    return normalised(vector - max(float(vector @ other), 0.0) * other - 0.5 * other)


def between(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half-way from one vector to another."""
    return normalised(one + other)


def _found(row: dict[str, Any], score: float) -> Found:
    return Found(**{name: row[name] for name in SHOWN}, score=float(score))


def _conditions(sources: Sequence[str], without: Sequence[int], below: int | None = None) -> str:
    parts = [] if below is None else [f"id < {below}"]
    if sources:
        parts.append(f"source IN ({', '.join(map(_quoted, sources))})")
    if without:
        parts.append(f"id NOT IN ({', '.join(map(str, without))})")
    return " AND ".join(parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
