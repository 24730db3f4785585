"""What a run can be asked to do."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharnn_py import JULIA, PAPER, SHARNN, Baseline, ConfigError
from sharnn_py.trainer.length import Length, Plan
from sharnn_py.trainer.optimiser import rate_of
from sharnn_py.trainer.presets import presets
from sharnn_py.trainer.settings import Settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", "0", "rate is 0.0; it must be above 0 and finite"),
        ("rate", "nan", "rate is nan; it must be above 0 and finite"),
        ("layers", "two", "layers is 'two'; it must be a whole number"),
        ("layers", "0", "layers is 0; it must be a whole number of at least 1"),
        ("dropout_hidden", "1", "at least 0 and below 1"),
        ("attention", "two", "attention is 'two'; it must be one of one, none, all"),
        ("recompute", "maybe", "recompute is 'maybe'; it must be true or false"),
        ("warmup", "-1", "warmup is -1; it must be at least 0"),
        ("layer", "3", "there is no setting 'layer'; the settings are model, semantics"),
    ],
)
def test_a_setting_that_no_run_can_have_is_named(name, value, message):
    with pytest.raises(ConfigError, match=message):
        Settings().with_text(name, value)


def test_settings_read_back_what_they_wrote():
    settings = Settings(attention="all", rate=0.1, random_lengths=False).with_text("layers", "2")
    assert Settings.from_json(settings.to_json()) == settings
    with pytest.raises(ConfigError, match="unknown"):
        Settings.from_json({"colour": 1})


def test_settings_make_the_model_that_they_name():
    model = Settings(emb=8, hidden=16, layers=3, attention="all", seed=4).new_model(11)
    assert isinstance(model, SHARNN)
    assert model.config.attention_layers == (0, 1, 2)
    assert model.config.semantics == PAPER
    assert Settings(emb=8, hidden=16, layers=3, attention="none").new_model(11).config.attention_layers == ()
    assert isinstance(Settings(model="baseline", emb=8, hidden=16).new_model(11), Baseline)


def test_initial_parameters_may_be_the_other_programs():
    assert Settings(initialisation="julia").new_model(11).config.semantics == PAPER.flipped("initialisation")
    assert Settings(initialisation="paper").new_model(11).config.semantics == PAPER
    assert Settings(semantics="julia", initialisation="julia").new_model(11).config.semantics == JULIA


def test_a_baseline_may_begin_as_torch_draws_its_layers():
    sizes = dict(model="baseline", emb=8, hidden=16, layers=2)
    drawn = [Settings(**sizes, initialisation="torch", seed=seed).new_model(11) for seed in (3, 3, 4)]
    first, again, other = (model.state_dict() for model in drawn)
    assert all(torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name]) for name in first)
    assert 0.5 < first["embed.weight"].std() < 1.5  # of 88 numbers of a standard normal distribution
    assert Settings(**sizes).new_model(11).embed.weight.std() < 0.1  # julia's
    with pytest.raises(ConfigError, match="only a baseline's can be"):
        Settings(initialisation="torch").new_model(11)


def test_every_preset_has_settings_a_length_and_a_line():
    assert set(presets()) >= {"paper", "paper-all", "julia", "laptop-10m", "laptop-60m"}
    assert presets()["laptop-10m"].length == Length(minutes=10)
    assert presets()["paper"].settings.rate == 2e-3
    assert presets()["julia"].settings.semantics == "julia"
    assert all(preset.description for preset in presets().values())


def test_a_length_is_of_one_kind():
    for given_ in ({}, {"minutes": 1, "epochs": 1}, {"minutes": 0}, {"epochs": -1}, {"minutes": math.inf}):
        with pytest.raises(ConfigError, match=r"must be (given|above 0)"):
            Length(**given_)
    assert str(Length(minutes=1.5)) == "1.5 minutes"


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(1, 200)), max_size=6))
def test_a_plan_that_is_remade_goes_on_where_it_was_and_never_back(steps):
    plan, taken, share = Plan(0, 0.0, 100), 0, 0.0
    for more, left in steps:
        taken += more
        assert plan.share(taken) >= share
        share = plan.share(taken)
        plan = plan.remade(taken, left)
        assert plan.share(taken) == share
        assert plan.share(taken + max(1, round(left))) == 1
    assert 0 <= share <= 1


def test_the_rate_rises_in_equal_steps_and_then_follows_the_schedule():
    settings = Settings(rate=2e-3, warmup=800, schedule="constant")
    # main.py of Smerity/sha-rnn: lr * min(step, warmup) / warmup, step from 1
    assert [rate_of(settings, step, 0.0) for step in (1, 400, 800, 8000)] == [2e-3 / 800, 1e-3, 2e-3, 2e-3]
    cosine = Settings(rate=1.0, warmup=0, schedule="cosine")
    assert [rate_of(cosine, 1, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0])
    linear = Settings(rate=1.0, warmup=2, schedule="linear")
    assert [rate_of(linear, n, share) for n, share in ((1, 0.0), (2, 0.25), (9, 1.0))] == [0.5, 0.75, 0.0]
