"""Sequences of Triton's clients on an engine, without Triton: what is opened is closed, whatever goes wrong."""

import numpy as np
import pytest

from export import Engine, Session, export_checkpoint
from export.triton.living import LivingSequences, Segment
from sharnn_py import JULIA, CheckpointError, Config, InputError, Vocabulary, save_checkpoint
from tests.export.conftest import SIZES, WORDS, trained_looking


@pytest.fixture
def engine(exported):
    return Engine.load(exported, slots=3, threads=1)


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def living(engine, now):
    return LivingSequences(engine, 10, lambda: now[0])


def segment(id, *ids, **how):
    return Segment(id, np.array(ids), **how)


def test_one_run_has_steps_and_segments_of_several(living, exported):
    living.feed([segment(1, 2, 3, start=True), segment("b", 4, start=True)])
    one, other, wrong = living.feed([segment(1, 5), segment("b", 6), segment(3, 99, start=True)])
    assert isinstance(wrong, InputError)
    for ids, answer in (([[2, 3], [5]], one), ([[4], [6]], other)):
        session = Session.load(exported, threads=1)
        expected = [session.prefill(np.array(part)[:, None]) for part in ids][-1][:, 0]
        np.testing.assert_allclose(answer.logits, expected, rtol=1e-4, atol=2e-5)


def test_end_frees_a_sequence_also_where_its_segment_is_wrong(living, engine):
    living.feed([segment(1, 2, start=True), segment(2, 2, start=True)])
    living.feed([segment(1, 2, end=True), segment(2, 99, end=True)])
    assert engine.sequences == ()


def test_start_forgets_what_had_that_id(living, engine):
    [first] = living.feed([segment(1, 2, start=True)])
    [again] = living.feed([segment(1, 2, start=True)])
    assert (first.logits == again.logits).all()
    assert len(engine.sequences) == 1


def test_a_wrong_beginning_opens_nothing(living, engine):
    [wrong] = living.feed([segment(1, 99, start=True)])
    assert isinstance(wrong, InputError)
    assert engine.sequences == ()


def test_idle_sequences_are_closed_and_others_are_not(living, engine, now):
    living.feed([segment(1, 2, start=True), segment(2, 2, start=True)])
    now[0] = 6.0
    living.feed([segment(2, 2)])
    now[0] = 12.0
    late, used = living.feed([segment(1, 2), segment(2, 2)])
    assert "was idle for 10 seconds" in str(late)
    assert used.logits.shape == (1, len(WORDS))
    assert len(engine.sequences) == 1


def test_a_snapshot_of_another_model_is_refused_without_a_path_of_the_server_s(living, engine, tmp_path):
    save_checkpoint(trained_looking(Config(**SIZES, semantics=JULIA), seed=9), tmp_path / "other", Vocabulary(WORDS))
    export_checkpoint(tmp_path / "other", tmp_path / "export")
    others = LivingSequences(Engine.load(tmp_path / "export", slots=1, threads=1), 10)
    [saved] = others.feed([segment(1, 2, start=True, save=True)])
    [answer] = living.feed([Segment(1, start=True, snapshot=saved.saved)])
    assert isinstance(answer, (InputError, CheckpointError))
    assert str(answer).startswith("SNAPSHOT")
    assert "another model" in str(answer)
    assert engine.sequences == ()
