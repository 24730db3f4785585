"""A configuration says what is wrong with it before anything is computed."""

import dataclasses

import pytest

from sharnn_py import JULIA, PAPER, Config, ConfigError, Semantics

GOOD = dict(vocab=11, emb=8, hidden=32, layers=4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(vocab=0), "vocab is 0"),
        (dict(emb=2.5), "emb is 2.5"),
        (dict(heads=3), "heads is 3; it must divide emb, which is 8"),
        (dict(hidden=20), "must be a multiple of emb"),
        (dict(hidden=4), "hidden must be at least emb"),
        (dict(emb=2, hidden=6), "hidden / emb is 3, more than emb"),
        (dict(emb=1, hidden=1), "emb is 1"),
        (dict(attention_layers=(4,)), "its entries must be 0 to 3"),
        (dict(max_memory=0), "max_memory is 0"),
        (dict(dropout_hidden=1.0), "dropout_hidden is 1.0"),
    ],
)
def test_what_no_julia_model_can_have_is_refused_in_words(change, words):
    with pytest.raises(ConfigError, match=words):
        Config(**{**GOOD, **change})


def test_paper_cuts_hidden_down_to_whole_chunks_and_so_takes_sizes_julia_cannot():
    assert Config(vocab=11, emb=8, hidden=20, layers=2, semantics=PAPER).hidden == 20
    assert Config(vocab=11, emb=2, hidden=6, layers=2, semantics=PAPER).hidden == 6
    with pytest.raises(ConfigError, match="hidden must be at least emb"):
        Config(vocab=11, emb=8, hidden=4, layers=2, semantics=PAPER)


def test_the_second_to_last_block_attends_and_a_single_one_does_not():
    assert Config(**GOOD).attention_layers == (2,)
    assert Config(**{**GOOD, "layers": 1}).attention_layers == ()
    assert Config(**GOOD, attention_layers=(3, 0, 3)).attention_layers == (0, 3)


def test_every_row_can_be_flipped_alone():
    for field in dataclasses.fields(Semantics):
        flipped = JULIA.flipped(field.name)
        differing = [
            f.name for f in dataclasses.fields(Semantics) if getattr(flipped, f.name) != getattr(JULIA, f.name)
        ]
        assert differing == [field.name]
        assert flipped.flipped(field.name) == JULIA
    assert JULIA.flipped(*(f.name for f in dataclasses.fields(Semantics))) == PAPER
    with pytest.raises(ConfigError, match="no semantics switch 'gelu'"):
        JULIA.flipped("gelu")


def test_json_round_trip_and_its_errors():
    config = Config(**GOOD, tied=False, attention_layers=(0, 1), semantics=PAPER.flipped("boom"))
    assert Config.from_json(config.to_json()) == config
    values = config.to_json()
    values["colour"] = values.pop("emb")
    with pytest.raises(ConfigError, match=r"missing \['emb'\], unknown \['colour'\]"):
        Config.from_json(values)
