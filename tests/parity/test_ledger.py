"""The ledger: that it reads, that its evidence is there, and that a faulty one is refused in words."""

import dataclasses
import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch

from parity.recording.library import PACKAGED, discover
from parity.sharnn.header import program_of, segment_count
from parity.sharnn.ledger import ledger as reader
from parity.sharnn.ledger.entry import OVER, QUANTITIES, SWITCHES
from parity.sharnn.ledger.ledger import PATH, LedgerError, load
from sharnn_py import Semantics

ROOT = Path(__file__).parents[2]
LEDGER = load()
RECORDINGS = {recording.name: recording for recording in discover(PACKAGED)}


def entry(id):
    return next(e for e in LEDGER.entries if e.id == id)


def of_julia(group):
    """Recordings of SHA-RNN.jl's model that hold a group of tensors."""
    models = [r for r in RECORDINGS.values() if not r.is_data and program_of(r) == "julia"]
    return [r for r in models if r.group(f"{group}/")]


def test_the_ten_rows_come_first_in_order_each_with_its_switch():
    rows = LEDGER.entries[:10]
    assert [e.row for e in rows] == list(range(1, 11))
    assert tuple(e.switch for e in rows) == SWITCHES == LEDGER.switches
    assert [field.name for field in dataclasses.fields(Semantics)] == [e.switch for e in rows[:7]]
    assert not any(e.switch for e in LEDGER.entries[10:])


@pytest.mark.parametrize(("id", "evidence"), [(e.id, item) for e in LEDGER.entries for item in e.evidence])
def test_evidence_is_there(id, evidence):
    if evidence.startswith("tests/"):
        path, name = evidence.split("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    elif evidence.startswith("docs/"):
        path, heading = evidence.split("#")
        assert re.search(rf"^#+ {re.escape(heading)}$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    else:
        assert evidence in RECORDINGS


@pytest.mark.slow
@pytest.mark.parametrize("program", ["julia", "paper"])
def test_patterns_are_of_tensors_that_recordings_hold(program):
    names = {n for r in RECORDINGS.values() if not r.is_data and program_of(r) == program for n in r.tensors}
    for e in LEDGER.entries:
        for pattern in e.patterns(program):
            assert any(fnmatchcase(name, pattern) for name in names), (e.id, pattern)


def test_every_entry_was_measured_at_the_commits_that_recordings_are_of():
    assert {e.since.julia for e in LEDGER.entries} == {"ebd62af"}
    assert {e.since.paper for e in LEDGER.entries} == {"218d748"}


@pytest.mark.slow
def test_what_the_clip_misses_is_as_large_as_the_ledger_says():
    sizes = []
    for recording in of_julia("gradissparse"):
        for name in recording.group("gradissparse/"):
            norm = float(recording.tensor(f"grad/{name}").double().norm())
            if float(recording.tensor(f"gradnorm/{name}")) > 0.25:
                sizes.append(norm / 0.25)
    assert len(sizes) > 100
    (size,) = entry("sparse-clip").sizes
    assert min(sizes) in size
    assert max(sizes) in size
    assert max(sizes) > 0.9 * size.high


def test_the_norm_of_a_list_of_entries_is_as_far_off_as_the_ledger_says():
    ratios = []
    for recording in of_julia("gradissparse"):
        for name in recording.group("gradissparse/"):
            ratio = float(recording.tensor(f"gradnorm/{name}")) / float(
                recording.tensor(f"grad/{name}").double().norm()
            )
            if name.endswith("/encoder.w"):
                ratios.append(ratio)
            else:
                assert ratio == pytest.approx(1, rel=1e-6)
    (size,) = entry("sparse-norm").sizes
    assert min(ratios) in size
    assert max(ratios) in size
    assert max(ratios) - min(ratios) > 0.9 * (size.high - size.low)


def test_a_block_without_attention_holds_an_empty_vector_of_length_1():
    (size,) = entry("empty-memory").sizes
    lengths = []
    for recording in of_julia("eval"):
        if recording.config["nlayers"] < 3 or "heads" not in recording.config:
            continue
        for segment in range(2, segment_count(recording) + 1):
            if int(recording.tensor(f"eval/{segment}/mem_start_idx")) == 1:  # nothing is cut
                lengths.append(int(recording.tensor(f"eval/{segment}/mem_in.1.size")[-1]))
    assert len(lengths) > 10
    assert all(length in size for length in lengths)


def test_smeritys_unused_parameters_are_never_updated():
    recording = RECORDINGS["smerity/L4_h1_tied_b2_lamb"]
    patterns = entry("unused-parameters").patterns("paper")
    unused = [n for n in recording.tensors if any(fnmatchcase(n, p) for p in patterns) and "blocks.2.lnm" not in n]
    assert len(unused) == 8 + 2 + 12
    for name in unused:
        assert torch.equal(recording.tensor(name), recording.tensor(f"train/5/{name}"))
    assert not torch.equal(recording.tensor("param/encoder.weight"), recording.tensor("train/5/param/encoder.weight"))


def test_entries_are_found_by_switch_and_by_tensor():
    assert LEDGER.by_switch("boom").row == 2
    assert [e.id for e in LEDGER.at("eval/1/blocks.1.lnstart", "julia")] == ["layer-norm"]
    assert not LEDGER.at("eval/1/blocks.1.lnstart", "paper")
    assert [e.id for e in LEDGER.at("eval/1/blocks.0.lnstart")] == ["layer-norm"]
    assert {"optimiser", "sparse-clip"} <= {e.id for e in LEDGER.at("train/1/fstm/blocks.1.rnn.w", "julia")}
    assert [e.id for e in LEDGER.at("param/blocks.0.attn.r_gate", "paper")] == ["unused-parameters"]
    assert not LEDGER.at("eval/1/embed")
    for nothing in ("", "gelu"):
        with pytest.raises(LedgerError, match="no entry for the switch"):
            LEDGER.by_switch(nothing)


def test_it_is_plain_json():
    content = json.loads(json.dumps(LEDGER.to_json()))
    assert content["version"] == LEDGER.version
    assert content["entries"][1]["switch"] == "boom"
    assert content["entries"][1]["sizes"][0]["quantity"] in QUANTITIES


GOOD = """
format = 1
version = 3
[[entry]]
id = "a"
row = 1
switch = "boom"
title = "t"
julia = "j"
paper = "p"
where = { port = ["x"], julia = [], paper = [] }
since = { julia = "1", paper = "2" }
evidence = ["e"]
size = [{ quantity = "loss", low = 0, high = 1.5, over = "as run" }]
"""


ENTRY = GOOD[GOOD.index("[[entry]]") :]


def test_a_small_ledger(tmp_path):
    path = tmp_path / "ledger.toml"
    path.write_text(GOOD)
    ledger = load(path)
    assert ledger.version == 3
    assert ledger.by_switch("boom").sizes[0].over in OVER
    assert 1.5 in ledger.by_switch("boom").sizes[0]
    assert float("nan") not in ledger.by_switch("boom").sizes[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format = 1", "format = 2", "format is 2; this version of sharnn reads format 1"),
        ("format = 1\n", "", "format is None; this version of sharnn reads format 1"),
        ("version = 3", "version = '3'", "version: Expected `int`, got `str`"),
        ('id = "a"\n', "", "entry 1: Object missing required field `id`"),
        ('title = "t"', 'titel = "t"', r"entry 1 \(a\): Object contains unknown field `titel`"),
        ("row = 1", "row = true", r"entry 1 \(a\), row: Expected `int \| null`, got `bool`"),
        ('"boom"', '"gelu"', r"entry 1 \(a\): switch is 'gelu'; it must be one of 'layer_norm', 'boom'"),
        ('julia = "j"', "julia = 1", r"entry 1 \(a\), julia: Expected `str`, got `int`"),
        ('port = ["x"]', "port = [1]", r"entry 1 \(a\), where, port\[0\]: Expected `str`, got `int`"),
        ('port = ["x"], ', "", r"entry 1 \(a\), where: Object missing required field `port`"),
        ('julia = "1", ', "", r"entry 1 \(a\), since: Object missing required field `julia`"),
        ('["e"]', "[]", "it needs evidence"),
        ("size = [", "siez = [", "unknown field `siez`"),
        ("size = [{ ", "size = [{ a = 1, ", r"entry 1 \(a\), size\[0\]: Object contains unknown field `a`"),
        ("size = [{", "size = [1, {", r"size\[0\]: Expected `object`, got `int`"),
        (re.search(r"size = .*", GOOD).group(), "", "it needs evidence, and a size"),
        ('"loss"', '"bits"', "quantity is 'bits'; it must be one of 'first', "),
        ('"as run"', '"always"', "over is 'always'; it must be one of 'as run', 'packaged', 'recordings'"),
        ("low = 0", "low = 2", "low is 2 and high 1.5"),
        ("low = 0", "low = nan", "low is nan"),
        ("low = 0", "low = 'x'", r"size\[0\], low: Expected `float`, got `str`"),
        ("[[entry]]", "[[entry]", "is not TOML"),
        ("[[entry]]", "[entry]", "entry: Expected `array`, got `object`"),
        (GOOD, GOOD + GOOD[GOOD.index("[[entry]]") :], "more than one entry has the id 'a'"),
        (
            GOOD,
            GOOD + GOOD[GOOD.index("[[entry]]") :].replace('"a"', '"b"'),
            "more than one entry has the switch 'boom'",
        ),
    ],
)
def test_a_malformed_ledger_is_refused_in_words(tmp_path, old, new, words):
    assert old in GOOD
    path = tmp_path / "ledger.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(LedgerError, match=words) as refused:
        load(path)
    assert str(path) in str(refused.value)
    assert refused.value.exit_code == 3


def test_a_ledger_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(LedgerError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(LedgerError, match="is not TOML"):
        load(tmp_path / "bytes.toml")


def test_the_file_is_packaged_beside_its_reader():
    assert PATH.parent == Path(reader.__file__).parent
