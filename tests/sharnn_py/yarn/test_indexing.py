"""An index is the same whatever interrupted its making, and what it cannot take it refuses in a sentence."""

import errno
import os
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest

from sharnn_py import TorchSession
from sharnn_py.errors import ConfigError, InputError
from sharnn_py.yarn import reading
from sharnn_py.yarn.errors import IndexFolderError
from sharnn_py.yarn.finding import Finder
from sharnn_py.yarn.indexing import index
from sharnn_py.yarn.lock import only_writer
from sharnn_py.yarn.manifest import Manifest
from sharnn_py.yarn.reading import Reader
from sharnn_py.yarn.store import Store
from tests.sharnn_py.yarn.conftest import TEXT, make_model


class Killed(BaseException):
    """What happens to the process at some point of it."""


def make(folder, texts, reader, checkpoint, how="sentences", **named):
    said = []
    index(folder, texts, reader, checkpoint, how, said.append, **named)
    return said


def everything(folder):
    every = Finder(folder).everything()
    return (every.ids, every.sources, every.places, every.texts), every.vectors


def same(one, other):
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


POINTS = [
    (TorchSession, "save_state"),
    (Store, "add_read"),
    (Manifest, "save"),
    (Store, "publish"),
    (Store, "drop_but"),
]


@pytest.mark.parametrize("after", [pytest.param(False, marks=pytest.mark.slow), True], ids=["before", "after"])
@pytest.mark.parametrize("point", POINTS, ids=[name for _, name in POINTS])
def test_killed_and_taken_up_again_it_is_the_same(point, after, reader, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "STRETCH", 100)
    texts = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path in texts:
        path.write_text(TEXT)
    texts[1].write_text(TEXT[:150])
    make(tmp_path / "whole", texts, reader, checkpoint)
    owner, name = point
    original, calls = getattr(owner, name), []

    def killed(*given):
        calls.append(name)
        now = len(calls) == (1 if name in ("publish", "drop_but") else 2)
        result = None if now and not after else original(*given)
        if now:
            raise Killed
        return result

    with mock.patch.object(owner, name, killed), pytest.raises(Killed):
        make(tmp_path / "index", texts, reader, checkpoint)
    make(tmp_path / "index", texts, reader, checkpoint)
    same(everything(tmp_path / "index"), everything(tmp_path / "whole"))
    left = sorted(path.name for path in (tmp_path / "index").iterdir())
    assert [name for name in left if name.startswith(("state", "sense"))] == [
        f"sense-{Manifest.load(tmp_path / 'index').edition}.safetensors"
    ]


PROGRAM = """
import os, signal, sys
from pathlib import Path
from sharnn_py import TorchSession
from sharnn_py.yarn import reading
from sharnn_py.yarn.indexing import index
from sharnn_py.yarn.reading import Reader
from sharnn_py.yarn.store import Store
reading.STRETCH = 100
folder, text, model = map(Path, sys.argv[1:])
add = Store.add_read
def killed(self, number, first, *rest):
    add(self, number, first, *rest)
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
Store.add_read = killed
index(folder, [text], Reader(TorchSession.load(model)), model, "sentences", print)
"""


@pytest.mark.slow
def test_a_process_that_was_really_killed_leaves_what_can_be_gone_on_with(
    reader, checkpoint, text, tmp_path, monkeypatch
):
    monkeypatch.setattr(reading, "STRETCH", 100)
    folder = tmp_path / "index"
    done = subprocess.run([sys.executable, "-c", PROGRAM, folder, text, checkpoint])
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(IndexFolderError, match="not finished"):
        Finder(folder)
    fed = []
    with mock.patch.object(
        reader.session, "prefill", lambda ids: fed.append(ids) or TorchSession.prefill(reader.session, ids)
    ):
        make(folder, [text], reader, checkpoint)
    assert 0 < sum(map(len, fed)) < len(TEXT) - 150  # what was read is not read again
    make(tmp_path / "whole", [text], reader, checkpoint)
    same(everything(folder), everything(tmp_path / "whole"))


def test_texts_are_added_and_not_read_twice(reader, checkpoint, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Nothing of this is new. The sea was full of ships.")
    make(tmp_path / "index", [text], reader, checkpoint)
    said = make(tmp_path / "index", [text, other], reader, checkpoint)
    assert said[0] == f"{text}: indexed already"
    assert Finder(tmp_path / "index").sources == ["ships.txt", "other.txt"]
    make(tmp_path / "at once", [text, other], reader, checkpoint)
    same(everything(tmp_path / "index"), everything(tmp_path / "at once"))


def test_texts_of_one_name_are_told_apart(reader, checkpoint, text, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "ships.txt").write_text(TEXT)
    make(tmp_path / "index", [text, tmp_path / "b" / "ships.txt"], reader, checkpoint)
    assert Finder(tmp_path / "index").sources == ["ships.txt", str(tmp_path / "b" / "ships.txt")]


def test_a_text_that_changed_is_noticed_and_replaced_when_asked(reader, checkpoint, text, tmp_path):
    folder = tmp_path / "index"
    make(folder, [text], reader, checkpoint)
    before = everything(folder)
    text.write_text(TEXT.replace("ships", "boats"))
    assert [line for line in Finder(folder).changed()] == [
        f"{text} has changed since it was indexed; the phrases are those of then"
    ]
    with pytest.raises(InputError, match=r"has changed since it was indexed .* --replace"):
        make(folder, [text], reader, checkpoint)
    same(everything(folder), before)
    make(folder, [text], reader, checkpoint, replace=True)
    make(tmp_path / "new", [text], reader, checkpoint)
    same(everything(folder), everything(tmp_path / "new"))


def test_another_model_and_another_cut_are_refused(reader, checkpoint, text, tmp_path, vocabulary):
    make(tmp_path / "index", [text], reader, checkpoint)
    other = Reader(TorchSession(make_model(seed=5), vocabulary))
    with pytest.raises(IndexFolderError, match="an index of another model"):
        make(tmp_path / "index", [text], other, checkpoint)
    with pytest.raises(IndexFolderError, match="another model"):
        Finder(tmp_path / "index").vector_of_words("ships", other)
    with pytest.raises(IndexFolderError, match="cut by sentences, and lines was asked for"):
        make(tmp_path / "index", [text], reader, checkpoint, "lines")


def test_two_writers_are_one_too_many(reader, checkpoint, text, tmp_path):
    folder = tmp_path / "index"
    make(folder, [text], reader, checkpoint)
    with only_writer(folder), pytest.raises(IndexFolderError, match=rf"another process \({os.getpid()}\)"):
        make(folder, [text], reader, checkpoint)
    assert Finder(folder).sources == ["ships.txt"]
    make(folder, [text], reader, checkpoint)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("LanceError(IO): ... (os error 28)")]
)
@pytest.mark.parametrize("name", ["add_read", "publish"])
def test_a_full_disk_loses_nothing(reader, checkpoint, text, tmp_path, error, name):
    from lancedb.table import LanceTable

    folder, calls = tmp_path / "index", "add" if name == "add_read" else "create_index"
    other = tmp_path / "other.txt"
    other.write_text(TEXT[:150])
    make(folder, [text], reader, checkpoint)
    before = everything(folder)
    with mock.patch.object(LanceTable, calls, side_effect=error), pytest.raises(IndexFolderError, match="disk is full"):
        make(folder, [text, other], reader, checkpoint)
    same(everything(folder), before)
    make(folder, [text, other], reader, checkpoint)
    assert len(everything(folder)[0][0]) > len(before[0][0])


def test_bad_texts_and_folders_are_refused(reader, checkpoint, text, tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="has no text to index"):
        make(tmp_path / "index", [tmp_path / "empty.txt"], reader, checkpoint)
    with pytest.raises(ConfigError):
        make(tmp_path / "index", [text], reader, checkpoint, "pages")
    assert not (tmp_path / "index").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("")
    with pytest.raises(IndexFolderError, match="no index"):
        make(tmp_path / "full", [text], reader, checkpoint)
    with pytest.raises(IndexFolderError, match="no index"):
        Finder(tmp_path / "nowhere")


def test_bytes_that_the_model_does_not_know_are_refused_before_anything_is_read(checkpoint, tmp_path):
    from sharnn_py import PAPER, SHARNN, Config, Vocabulary

    few = Vocabulary(["<s>", "<unk>", "97", "32", "46"])
    config = Config(vocab=5, emb=4, hidden=8, layers=1, max_memory=8, semantics=PAPER)
    reader = Reader(TorchSession(SHARNN(config), few))
    (tmp_path / "good.txt").write_text("a a. a")
    (tmp_path / "bad.txt").write_text("a ab.")
    with pytest.raises(InputError, match=r"bad\.txt: byte 98 .* at offset 3"):
        make(tmp_path / "index", [tmp_path / "good.txt", tmp_path / "bad.txt"], reader, checkpoint)
    assert not (tmp_path / "index").exists()


def test_a_damaged_manifest_is_said_to_be(reader, checkpoint, text, tmp_path):
    make(tmp_path / "index", [text], reader, checkpoint)
    (tmp_path / "index" / "yarn.json").write_text("{")
    with pytest.raises(IndexFolderError, match="damaged"):
        Finder(tmp_path / "index")
