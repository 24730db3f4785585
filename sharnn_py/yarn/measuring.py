"""How well known parallels are found: by the model's vectors, by BM25, and by what neither of them needs.

Every verse of a list looks for its parallels among all verses of the same part of the text: the lists that things were
chosen on among the Old Testament, the others among the whole text. *Recall at 10* is the share of a verse's parallels
among the ten that come first, *MRR* the mean of one over the rank of the first parallel that comes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from sharnn_py.errors import InputError
from sharnn_py.yarn.finding import CANDIDATES, Finder, fuse
from sharnn_py.yarn.parallels import CHOSEN_ON, REPORTED, related
from sharnn_py.yarn.sense import Sense, normalised

FIRST_OF_THE_NEW = "Matthew 1:1"
TOP = 10
SEED = 1
"""Of the random vectors."""
GRAMS = (3, 4, 5)
"""How many characters the n-grams have that are hashed."""

Vectors = NDArray[np.float32]
Ranking = Callable[[int, int], list[int]]
"""From a verse, and the number of verses to look among, to the verses that come first, itself left out."""


@dataclass(frozen=True)
class Measured:
    """How well one method finds the parallels of one list."""

    method: str
    """What ranks: "model", "BM25", and so on."""
    list: str
    """The list of parallels, by its file's name."""
    verses: int
    """How many verses looked for parallels."""
    recall: float
    """Recall at 10."""
    mrr: float
    """Mean reciprocal rank."""


def measure(finder: Finder, names: Sequence[str] = (*CHOSEN_ON, *REPORTED)) -> list[Measured]:
    """Every method on every list, for an index of the verses of the King James Bible.

    Raises `InputError` for an index that lacks verses of the lists.
    """
    every = finder.everything()
    places, texts, vectors = every.places, every.texts, every.vectors
    at = {place: number for number, place in enumerate(places)}
    wanted = {name: related(name) for name in names}
    missing = sorted({place for lists in wanted.values() for place in lists if place not in at})
    if missing or FIRST_OF_THE_NEW not in at:
        raise InputError(
            f"{finder.folder} lacks {len(missing):,} verses of the lists of parallels, {', '.join(missing[:3])} among "
            "them; the text must be the King James Bible with numbered verses under headings such as Genesis 1"
        )
    methods = _methods(finder, texts, vectors)
    rows = []
    for name, lists in wanted.items():
        among = at[FIRST_OF_THE_NEW] if name in CHOSEN_ON else len(places)
        asked = {at[place]: {at[other] for other in others} for place, others in lists.items()}
        for method, ranking in methods.items():
            recalls, reciprocals = zip(
                *(_judge(ranking(verse, among), others) for verse, others in asked.items()), strict=True
            )
            rows.append(Measured(method, name, len(asked), float(np.mean(recalls)), float(np.mean(reciprocals))))
    return rows


def table(measured: Sequence[Measured]) -> Table:
    """The numbers as a table, a method a row."""
    names = list(dict.fromkeys(row.list for row in measured))
    verses = {row.list: row.verses for row in measured}
    shown = Table(title="parallels found: recall at 10 / mean reciprocal rank")
    shown.add_column("ranked by")
    for name in names:
        shown.add_column(f"{name.replace('_', ' ')}\n{verses[name]:,} verses", justify="right")
    for method in dict.fromkeys(row.method for row in measured):
        by_list = {row.list: row for row in measured if row.method == method}
        shown.add_row(method, *(f"{by_list[name].recall:.3f} / {by_list[name].mrr:.3f}" for name in names))
    return shown


def _judge(ranked: Sequence[int], wanted: set[int]) -> tuple[float, float]:
    """Recall at 10, and one over the rank of the first that is wanted, 0 if none is ranked."""
    first = next((rank for rank, verse in enumerate(ranked, start=1) if verse in wanted), None)
    return len(wanted.intersection(ranked[:TOP])) / len(wanted), 1 / first if first else 0.0


def _methods(finder: Finder, texts: Sequence[str], vectors: Vectors) -> dict[str, Ranking]:
    random = normalised(np.random.default_rng(SEED).standard_normal(vectors.shape).astype(np.float32))
    hashed = hashed_ngrams(texts, vectors.shape[1])
    seen: dict[tuple[int, int], dict[int, float]] = {}

    def worded(verse: int, among: int) -> dict[int, float]:
        """BM25's scores, asked for once, since both fusions begin with them."""
        if (verse, among) not in seen:
            rows = finder.worded(texts[verse], CANDIDATES, without=[verse], below=among)
            seen[verse, among] = {found.id: found.score for found in rows}
        return seen[verse, among]

    def by_words(verse: int, among: int) -> list[int]:
        return list(worded(verse, among))

    def by_vectors(vectors: Vectors, verse: int, among: int) -> list[int]:
        return list(_nearest(vectors, verse, among))

    def by_both(vectors: Vectors, verse: int, among: int) -> list[int]:
        return list(fuse(worded(verse, among), _nearest(vectors, verse, among)))

    return {
        "model": partial(by_vectors, vectors),
        "BM25": by_words,
        "hashed n-grams": partial(by_vectors, hashed),
        "random vectors": partial(by_vectors, random),
        "BM25 and model": partial(by_both, vectors),
        "BM25 and hashed n-grams": partial(by_both, hashed),
    }


def _nearest(vectors: Vectors, verse: int, among: int) -> dict[int, float]:
    """The cosines of the nearest verses below number `among`, by number, nearest first; exactly, without an index."""
    cosines = vectors[:among] @ vectors[verse]
    cosines[verse] = -np.inf
    first = np.argpartition(-cosines, CANDIDATES)[:CANDIDATES] if among > CANDIDATES else np.arange(among)
    first = first[np.argsort(-cosines[first], kind="stable")]
    return {int(one): float(cosines[one]) for one in first if one != verse}


def hashed_ngrams(texts: Sequence[str], width: int) -> Vectors:
    """Vectors (texts, width), of length one, of the n-grams of characters of each text, hashed.

    Counts enter as log(1 + count), with the sign of a hash, and are centred and whitened as the model's vectors are.
    """
    bags = np.zeros((len(texts), width), np.float32)
    for row, text in zip(bags, texts, strict=True):
        counts: dict[bytes, int] = {}
        for gram in _grams(text):
            counts[gram] = counts.get(gram, 0) + 1
        for gram, count in counts.items():
            hashed = zlib.crc32(gram)
            row[(hashed >> 1) % width] += np.log1p(count) * (1 if hashed & 1 else -1)
    return Sense.fit([bags], [width])(bags)


def _grams(text: str) -> Iterator[bytes]:
    data = f" {text.lower()} ".encode()
    return (data[at : at + size] for size in GRAMS for at in range(len(data) - size + 1))
