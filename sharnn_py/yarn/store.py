"""The tables of an index, in LanceDB: what was read of each text so far, and the phrases that are searched.

`read` grows while texts are read, one commit a stretch; a commit is whole or not there. `phrases-N` is what is
searched: edition N, written anew from `read` when all texts have been read, since centring and whitening depend on
every phrase.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sharnn_py.missing import explained
from sharnn_py.yarn.errors import IndexFolderError
from sharnn_py.yarn.sense import Sense

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.db import DBConnection
    from lancedb.table import Table

READ = "read"
COLUMNS = ("number", "start", "end", "place", "text")
"""What tables hold of a phrase besides the text that it is in, its number in the index and its vectors."""
BATCH = 1 << 13
"""Phrases handled at once where all of them are gone through."""
APPROXIMATE = 50_000
"""From so many phrases on, vectors are found by an approximate index; below, comparing with all takes no longer."""
PROBED = 40
"""Parts of the approximate index that a query looks into."""
REFINED = 10
"""How many times as many candidates as asked for are compared by their whole vectors."""
FULL = ("No space left", "os error 28", "Disk quota", "os error 122", "ENOSPC")
"""What LanceDB says of a full disk, somewhere in its message."""


class Store:
    """The tables in a folder, which is made if need be."""

    def __init__(self, folder: Path) -> None:
        """Raises `MissingPackage` where LanceDB is not installed."""
        os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of every table that is new
        self._folder = folder
        with explained("an index"), telling(folder):
            import lancedb

            self._db: DBConnection = lancedb.connect(str(folder))

    def read_so_far(self, source: int) -> int:
        """How many phrases of text `source` have been read."""
        if READ not in self._names():
            return 0
        return int(self._db.open_table(READ).count_rows(f"source = {source}"))

    def add_read(
        self, source: int, first: int, phrases: Sequence[tuple[int, int, str, str]], pooled: NDArray[np.float32]
    ) -> None:
        """Append phrases, (start, end, place, text) each, of text `source` from number `first` on, in one commit."""
        import pyarrow as pa

        starts, ends, places, texts = zip(*phrases, strict=True)
        rows = pa.table(
            {
                "source": pa.array([source] * len(phrases), pa.int32()),
                "number": pa.array(range(first, first + len(phrases)), pa.int64()),
                "start": pa.array(starts, pa.int64()),
                "end": pa.array(ends, pa.int64()),
                "place": pa.array(places, pa.string()),
                "text": pa.array(texts, pa.string()),
                "pooled": _lists(pooled),
            }
        )
        with telling(self._folder):
            if READ in self._names():
                self._db.open_table(READ).add(rows)
            else:
                self._db.create_table(READ, rows)

    def forget_read(self, source: int) -> None:
        """Delete what was read of text `source`."""
        if READ in self._names():
            with telling(self._folder):
                self._db.open_table(READ).delete(f"source = {source}")

    def pooled(self, sources: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """The pooled vectors of what was read of texts `sources`, in batches (phrases, W)."""
        for batch in self._read(sources, ["pooled"]):
            yield _matrix(batch["pooled"])

    def publish(self, edition: int, names: Mapping[int, str], sense: Sense) -> int:
        """Write table `phrases-edition`, with its indexes, from what was read of texts `names`; how many it has.

        `names` are the texts' names by their number.
        """
        import pyarrow as pa

        def rows() -> Iterator[pa.RecordBatch]:
            seen = 0
            for batch in self._read(list(names), ["source", *COLUMNS, "pooled"]):
                yield pa.RecordBatch.from_pydict(
                    {
                        "id": pa.array(range(seen, seen + len(batch)), pa.int64()),
                        "source": pa.array([names[number] for number in batch["source"].to_pylist()], pa.string()),
                        **{name: batch[name] for name in COLUMNS},
                        "vector": _lists(sense(_matrix(batch["pooled"]))),
                    }
                )
                seen += len(batch)

        batches = rows()
        first = next(batches)
        with telling(self._folder):
            from lancedb.index import FTS, BTree, IvfPq

            table = self._db.create_table(
                _phrases(edition), chain([first], batches), schema=first.schema, mode="overwrite"
            )
            # Every word counts, as it is written: of what was tried, this found the most parallels.
            table.create_index("text", config=FTS(stem=False, remove_stop_words=False))
            table.create_index("id", config=BTree())
            count = int(table.count_rows())
            if count >= APPROXIMATE:
                table.create_index("vector", config=IvfPq(distance_type="dot", num_sub_vectors=_parts(first)))
            return count

    def _read(self, sources: Sequence[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """What was read of each of `sources`, one after the other, in the order of reading."""
        table = self._db.open_table(READ)
        for number in sources:
            query = table.search().where(f"source = {number}").select(list(columns))
            yield from (batch for batch in query.to_batches(BATCH) if len(batch))

    def phrases(self, edition: int) -> Table:
        """The table of an edition. Raises `IndexFolderError` if it is missing."""
        if _phrases(edition) not in self._names():
            raise IndexFolderError(f"{self._folder} lacks its table of phrases; index the texts again")
        return self._db.open_table(_phrases(edition))

    def drop_but(self, edition: int) -> None:
        """Drop the tables of other editions."""
        for name in self._names():
            if name not in (READ, _phrases(edition)):
                self._db.drop_table(name)

    def _names(self) -> list[str]:
        return list(self._db.list_tables().tables)


@contextmanager
def telling(folder: Path) -> Iterator[None]:
    """Within, an error of LanceDB's is an `IndexFolderError` that says in a sentence what happened."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        if any(words in said for words in FULL):
            raise IndexFolderError(
                f"{folder}: the disk is full; what was indexed is kept: make room, and give the same command again"
            ) from error
        raise IndexFolderError(f"{folder}: the database refuses ({said[:300]})") from error


def _phrases(edition: int) -> str:
    return f"phrases-{edition}"


def _lists(vectors: NDArray[np.float32]) -> pa.FixedSizeListArray:
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(vectors).ravel()), vectors.shape[1])


def _matrix(column: pa.FixedSizeListArray) -> NDArray[np.float32]:
    matrix: NDArray[np.float32] = column.flatten().to_numpy().reshape(len(column), -1)
    return matrix


def _parts(batch: pa.RecordBatch) -> int:
    """How many parts product quantisation cuts a vector into: of eight numbers each, where that goes."""
    width = int(batch.schema.field("vector").type.list_size)
    return next(width // size for size in (8, 4, 2, 1) if width % size == 0)
