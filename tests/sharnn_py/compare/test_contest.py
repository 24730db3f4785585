"""The command, and what may be learnt from which part of the text."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from sharnn_py.cli import main, sharnn
from sharnn_py.compare import contest
from sharnn_py.compare.cli import NAMES
from sharnn_py.compare.contest import neural, ngrams
from sharnn_py.compare.result import Result, Row, ensemble, final
from sharnn_py.compare.search import TRIALS, search
from sharnn_py.compare.split import SHORTEST, split
from sharnn_py.errors import InputError
from sharnn_py.trainer.corpus import read_corpus
from tests.sharnn_py.compare.text import text

NGRAMS = ["ppmd", "kneser-ney"]
DATA = text(SHORTEST)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(DATA)
    return path


def test_the_last_fiftieth_is_held_out_and_settings_are_chosen_on_the_one_before():
    data = bytes(range(256)) * 23 + b"rest"
    parts = split(data)
    assert parts.fit + parts.validation + parts.held_out == data
    assert len(parts.held_out) == len(parts.validation) == len(data) * 2 // 100


def test_the_trainer_holds_out_the_same_bytes(file):
    assert read_corpus(file).held_out == split(file.read_bytes()).held_out


@pytest.mark.parametrize("data", [b"", DATA[:-1]])
def test_a_text_that_is_too_short_is_refused(data):
    with pytest.raises(InputError, match=f"has {len(data):,} bytes; {SHORTEST:,} are needed"):
        split(data)


@pytest.mark.parametrize("name", NAMES)
def test_every_contender_is_tried_with_as_many_settings(name, monkeypatch):
    monkeypatch.setattr("sharnn_py.compare.neural.fastest", lambda tell: {"sharnn": "float32", "baseline": "float32"})
    (contender,) = [*ngrams([name]), *neural([name], print)]
    assert contender.name == name
    assert len({tuple(settings.items()) for settings in contender.settings}) == len(contender.settings) == TRIALS


@pytest.mark.parametrize("name", NGRAMS)
def test_nothing_is_chosen_or_learnt_from_the_held_out_part(name):
    (contender,) = ngrams([name])
    found = []
    for end in (DATA[-100:], b"?" * 100):
        parts = split(DATA[:-100] + end)
        trials = search(contender, parts, 1, print)
        result = final(contender, parts, 1, trials[0].settings)
        found.append(([(t.settings, t.bits_per_byte) for t in trials], result.validation.tolist(), result.held_out[0]))
    assert found[0][:2] == found[1][:2]
    assert found[0][2] != found[1][2]  # the two texts differ from there on


@pytest.mark.parametrize("name", NGRAMS)
def test_what_the_held_out_part_costs_does_not_depend_on_what_comes_later_in_it(name):
    (contender,) = ngrams([name])
    whole, changed = (
        final(contender, split(data), 1, contender.settings[0]).held_out for data in (DATA, DATA[:-50] + b"?" * 50)
    )
    assert whole[:50].tolist() == changed[:50].tolist()
    assert whole[50:].tolist() != changed[50:].tolist()


def test_the_weights_of_an_ensemble_are_chosen_on_the_validation_part():
    row = Row("a", 2.0, 1.5, 1.0, 10, 100, "")
    first = Result(row, np.array([1.0, 1.0]), np.array([9.0, 9.0]))
    second = Result(row, np.array([9.0, 9.0]), np.array([1.0, 1.0]))
    both = ensemble([first, second])
    assert both.row.bits_per_byte == pytest.approx(9, abs=0.01)  # all weight is on the one that fails afterwards
    assert (both.row.name, both.row.cpu_seconds, both.row.parameters) == ("a + a", 3.0, 20)


def test_the_command_prints_a_table_and_writes_json_and_a_picture(file, tmp_path):
    numbers, picture = tmp_path / "numbers.json", tmp_path / "picture.svg"
    words = ["compare", str(file), "--minutes", "1", "--json", str(numbers), "--plot", str(picture)]
    done = CliRunner().invoke(sharnn, [*words, *(word for name in NGRAMS for word in ("--only", name))])
    assert done.exit_code == 0, done.output
    assert done.stderr.count("of the validation part") == len(NGRAMS) * TRIALS
    for said in ("ppmd + kneser-ney", "bits per byte", "Not measured here", "1.068", "arXiv 1911.11423"):
        assert said in done.stdout
    found = json.loads(numbers.read_text())
    assert [row["name"] for row in found["rows"]] == [*NGRAMS, "ppmd + kneser-ney"]
    assert {name: len(trials) for name, trials in found["trials"].items()} == dict.fromkeys(NGRAMS, TRIALS)
    assert (found["bytes"], found["held_out"], found["minutes"]) == (SHORTEST, 100, 1.0)
    for row in found["rows"]:
        assert 0 < row["bits_per_byte"] < 3
        assert row["bytes_seen"] == SHORTEST - 100
    assert found["published"]["bits_per_byte"]["SHA-RNN without attention"] == 1.33
    assert b"<svg" in picture.read_bytes()


def test_trials_that_learnt_nothing_are_told_of(monkeypatch):
    class Ignorant:
        def read(self, text):
            return np.full(len(text), 8.0)

        parameters, bytes_seen = 0, 0

    class Contender:
        name, settings = "ignorant", tuple({"size": size} for size in range(TRIALS))

        def fit(self, text, minutes, settings):
            return Ignorant()

    monkeypatch.setattr(contest, "ngrams", lambda names: [*ngrams(["kneser-ney"]), Contender()])
    rows = contest.run(DATA, 1, [], print).rows
    told = {row.name: "too short to tell settings apart: give more --minutes" in row.note for row in rows}
    assert told == {"kneser-ney": False, "ignorant": True, "kneser-ney + ignorant": False}


def test_only_compares_those_named(file):
    done = CliRunner().invoke(sharnn, ["compare", str(file), "--minutes", "1", "--only", "ppmd"])
    assert done.exit_code == 0
    assert "ppmd" in done.stdout
    assert "kneser" not in done.stdout


@pytest.mark.parametrize(("words", "code", "says"), [
    (["{file}", "--minutes", "0"], 2, "0.0 is not in the range x>0"),
    (["{file}", "--minutes", "nan"], 2, "--minutes is nan"),
    (["{file}.gone", "--minutes", "1"], 2, "does not exist"),
    (["{file}"], 2, "Missing option '--minutes'"),
    (["{file}", "--minutes", "1", "--only", "gzip"], 2, "'gzip' is not one of"),
    (["{file}", "--minutes", "1", "--json", "{file}.gone/x"], 2, "there is no folder"),
    (["{file}", "--minutes", "1", "--only", "ppmd", "--plot", "{file}.odd"], 2, "the name of a picture's format"),
    (["{short}", "--minutes", "1"], 3, "has 5 bytes; 5,000 are needed"),
    (["{empty}", "--minutes", "1"], 3, "has 0 bytes"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(file, tmp_path, words, code, says, capsys):
    (tmp_path / "short").write_bytes(b"12345")
    (tmp_path / "empty").write_bytes(b"")
    names = {"file": file, "short": tmp_path / "short", "empty": tmp_path / "empty"}
    with pytest.raises(SystemExit) as left:
        main(["compare", *(word.format(**names) for word in words)])
    told = capsys.readouterr().err
    assert left.value.code == code
    assert says in told
    assert "Traceback" not in told
