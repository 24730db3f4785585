"""The lists of parallels are well formed, and methods that find parallels are told from those that do not."""

from dataclasses import replace

import numpy as np
import pytest

from sharnn_py.errors import InputError
from sharnn_py.yarn import measuring, parallels
from sharnn_py.yarn.finding import Finder
from sharnn_py.yarn.indexing import index
from sharnn_py.yarn.measuring import measure, table
from sharnn_py.yarn.parallels import CHOSEN_ON, REPORTED, groups, related

NEW = {"Matthew", "Mark", "Luke", "John", "Acts", "Romans", "Hebrews", "James", "Galatians", "Ephesians", "Revelation"}


def is_new(place):
    book = place.rpartition(" ")[0]
    return book in NEW or book.partition(" ")[2] in {"Corinthians", "Timothy", "Peter"}


@pytest.mark.parametrize("name", [*CHOSEN_ON, *REPORTED])
def test_a_list_names_its_source_and_each_passage_once(name):
    assert "Source: " in (parallels.FOLDER / f"{name}.txt").read_text()
    found = groups(name)
    assert len(found) > 100
    assert len(set(found)) == len(found)
    assert all(len(set(group)) == len(group) for group in found)
    pairs = related(name)
    assert all(place in pairs[other] for place, others in pairs.items() for other in others)


def test_what_is_chosen_on_is_not_what_is_reported():
    assert not any(is_new(place) for name in CHOSEN_ON for place in related(name))
    assert all(is_new(place) for place in related("gospels"))
    assert all(is_new(one) and not is_new(other) for one, other in groups("quotations"))


@pytest.mark.parametrize("line", ["Mark 1:1", "Mark 1:1-2 = Luke 1:1", "Mark 1:3-2 = Luke 1:3-2", "Mark = Luke 1:1"])
def test_a_line_that_is_no_parallel_is_refused(line, tmp_path, monkeypatch):
    (tmp_path / "bad.txt").write_text(f"# a comment\n\n{line}\n")
    monkeypatch.setattr(parallels, "FOLDER", tmp_path)
    with pytest.raises(InputError, match="no parallel passages of one length"):
        groups("bad")


BIBLE = """\
Genesis 1

  1 In the beginning was the sea and nothing else.
  2 A king went up to the mountain with forty horses.
  3 And there was evening.

Matthew 1

  1 In the beginning was the sea, and nothing else!
  2 Now a king went up the mountain, and with him forty horses.
  3 Blessed are they that read.
"""


def test_methods_are_measured(reader, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "bible.txt").write_text(BIBLE)
    index(tmp_path / "index", [tmp_path / "bible.txt"], reader, checkpoint, "verses", print)
    finder = Finder(tmp_path / "index")
    with pytest.raises(InputError, match="the text must be the King James Bible"):
        measure(finder)
    monkeypatch.setattr(measuring, "TOP", 1)
    (tmp_path / "gospels.txt").write_text("Genesis 1:1-2 = Matthew 1:1-2\n")
    monkeypatch.setattr(parallels, "FOLDER", tmp_path)
    rows = {row.method: row for row in measure(finder, ["gospels"])}
    assert {row.verses for row in rows.values()} == {4}
    assert (rows["BM25"].recall, rows["BM25"].mrr) == (1, 1)
    every = finder.everything()
    told_apart = replace(every, vectors=np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]])
    monkeypatch.setattr(finder, "everything", lambda: told_apart)
    found = {row.method: (row.recall, row.mrr) for row in measure(finder, ["gospels"])}
    assert (found["model"], found["BM25 and model"]) == ((1, 1), (1, 1))
    assert [column.header.split("\n")[0] for column in table(list(rows.values())).columns] == ["ranked by", "gospels"]
