"""`sharnn yarn` from the command line: what it prints, and the sentences it ends with."""

import json

import pytest

from sharnn_py.cli import main
from tests.sharnn_py.yarn.conftest import TEXT, checkpoint, indexed, model, vocabulary  # noqa: F401


@pytest.fixture
def run(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main(["yarn", *map(str, words)])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_index_and_find(run, checkpoint, tmp_path):  # noqa: F811
    (tmp_path / "ships.txt").write_text(TEXT)
    code, out, err = run(
        "index", tmp_path / "ships.txt", "--model", checkpoint, "-o", tmp_path / "index", "--threads", 1
    )
    assert (code, out) == (0, "")
    assert "8 of 8 phrases" in err
    assert err.endswith("8 phrases of 1 text can be searched\n")
    code, out, err = run("find", tmp_path / "index", "make straight the way", "-n", 2)
    assert (code, err) == (0, "")
    assert "A voice in the wilderness, crying: make straight the way.\n" in out


@pytest.mark.parametrize("words", [
    ["lamps"], ["wilderness", "--by", "words"], ["lamps", "--by", "sense"], ["--like", "2"],
    ["--like", "2", "--unlike", "3"],
    ["lamps", "--unlike", "1"], ["--mix", "1", "4"], ["--like", "2", "--walk"], ["lamps", "--walk"],
    ["--mix", "1", "4", "--walk", "--source", "ships.txt"],
])  # fmt: skip
def test_every_way_to_find_gives_json(run, indexed, words):  # noqa: F811
    code, out, err = run("find", indexed, *words, "--json", "-n", 3, "--threads", 1)
    assert (code, err) == (0, "")
    found = json.loads(out)["found"]
    assert len(found) == (2 if "words" in words else 3)
    assert set(found[0]) == {"id", "source", "number", "start", "end", "place", "text", "score", "before", "after"}
    numbers = [one["id"] for one in found]
    assert len(set(numbers)) == len(numbers)
    if ("--unlike" in words or "--mix" in words) and "--walk" not in words:
        assert not {int(word) for word in words if word.isdigit()} & set(numbers)
    if "--walk" in words and "--like" in words:
        assert numbers[0] == 2


@pytest.mark.parametrize(("words", "code", "said"), [
    ([], 2, "give one of WORDS, --like and --mix; none of them was given"),
    (["a", "--like", "1"], 2, "WORDS and --like was given"),
    ([" "], 2, "the words to look for are empty"),
    (["--like", "1", "--by", "words"], 2, "--by is for WORDS"),
    (["a", "--by", "words", "--unlike", "1"], 2, "--unlike is about sense"),
    (["--like", "line 77"], 3, "no phrase is at 'line 77'"),
    (["a", "--source", "boats"], 3, "boats is no text of"),
    (["a", "--model", "."], 3, "checkpoint"),
])  # fmt: skip
def test_what_cannot_be_found_is_said_in_a_sentence(run, indexed, words, code, said):  # noqa: F811
    got, out, err = run("find", indexed, *words)
    assert (got, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_folders_that_are_no_index(run, tmp_path):
    code, _, err = run("find", tmp_path, "a")
    assert (code, err.count("\n")) == (3, 1)
    assert "is no index" in err
    assert run("page", tmp_path)[0] == 2
    assert run("page", tmp_path, "-o", tmp_path / "nowhere" / "page.html")[0] in (2, 3)


def test_a_text_that_changed_is_noted(run, checkpoint, tmp_path):  # noqa: F811
    (tmp_path / "ships.txt").write_text(TEXT)
    run("index", tmp_path / "ships.txt", "--model", checkpoint, "-o", tmp_path / "index")
    (tmp_path / "ships.txt").write_text(TEXT[:50])
    code, out, err = run("find", tmp_path / "index", "--like", "1")
    assert code == 0
    assert out
    assert err.startswith("note: ")
    assert run("index", tmp_path / "ships.txt", "--model", checkpoint, "-o", tmp_path / "index")[0] == 3
