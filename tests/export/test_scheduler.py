"""Texts of many sequences on one engine are those of sessions of their own, whoever waits and whoever leaves."""

import numpy as np
import pytest

from export import Engine, Scheduler, Session
from sharnn_py import ConfigError, InputError

PROMPTS = ["once", "upon a time there was", "a", "the end of a long line of words that goes on and on", "words"]


@pytest.fixture
def scheduler(exported):
    return Scheduler(Engine.load(exported, slots=2, threads=1), segment=5)


def run(scheduler, most=10_000):
    """Every progress of every task until all have ended."""
    found = []
    for _ in range(most):
        progress = scheduler.advance()
        if not progress:
            break
        found += progress
    assert not scheduler.active + scheduler.waiting
    return found


def texts(found):
    read = {}
    for progress in found:
        read[progress.task] = read.get(progress.task, "") + progress.text
    return read


@pytest.mark.parametrize("how", [{"temperature": 0.0}, {"temperature": 0.9, "top_k": 9, "top_p": 0.95, "seed": 3}])
def test_every_text_is_that_of_a_session(scheduler, exported, how):
    engine, session = scheduler.engine, Session.load(exported, threads=1)
    tasks = [scheduler.submit(engine.open(), prompt, 20 + k, **how) for k, prompt in enumerate(PROMPTS)]
    read = texts(run(scheduler))
    for k, (task, prompt) in enumerate(zip(tasks, PROMPTS, strict=True)):
        session.reset()
        assert read[task] == "".join(session.generate(prompt, 20 + k, segment=5, **how))
        assert task.ended


def test_a_text_goes_on_exactly(scheduler, exported):
    session, number = Session.load(exported, threads=1), scheduler.engine.open()
    whole = "".join(session.generate("words", 30, seed=5))
    first = scheduler.submit(number, "words", 12, seed=5)
    head = texts(run(scheduler))[first]
    scheduler.engine.evict(number)
    second = scheduler.submit(number, "", 18)
    assert head + texts(run(scheduler))[second] == whole


def test_a_text_ends_before_a_stop_and_says_why(scheduler, exported):
    session = Session.load(exported, threads=1)
    whole = "".join(session.generate("words", 40, seed=1))
    stop = whole[10:12]
    task = scheduler.submit(scheduler.engine.open(), "words", 40, seed=1, stop=[stop])
    found = run(scheduler)
    assert texts(found)[task] == whole[: whole.index(stop)]
    assert [progress.ended for progress in found if progress.ended] == ["stop"]


def test_predictions_are_of_each_token_and_score_a_prompt(scheduler, exported):
    session, number = Session.load(exported, threads=1), scheduler.engine.open()
    scheduler.submit(number, "a line of words", 4, seed=2)
    found = run(scheduler)
    tokens = np.concatenate([progress.tokens for progress in found])
    predictions = np.concatenate([progress.predictions for progress in found])
    assert [progress.drawn for progress in found] == [False] * 3 + [True] * 4
    expected = [session.prefill(tokens[at : at + 5, None])[:, 0] for at in (0, 5, 10)]
    expected += [session.step(token[None]) for token in tokens[15:-1]]
    assert np.isnan(predictions[0]).all()
    np.testing.assert_allclose(predictions[1:], np.concatenate(expected), rtol=1e-4, atol=2e-5)


def test_a_long_prompt_stalls_nobody(scheduler):
    engine = scheduler.engine
    text = scheduler.submit(engine.open(), "a", 30)
    scheduler.advance()
    long = scheduler.submit(engine.open(), "words " * 20, 1)
    for _ in range(20):
        found = scheduler.advance()
        assert [len(progress.tokens) for progress in found if progress.task is text] == [1]
        assert all(len(progress.tokens) <= 5 for progress in found if progress.task is long)


@pytest.mark.parametrize(("a_run", "a_token", "least", "most"), [(10, 3, 4, 4), (20, 15, 1, 1), (5, 0.1, 128, 128)])
def test_parts_of_prompts_take_no_longer_than_a_step(export_of, config, monkeypatch, a_run, a_token, least, most):
    """On a clock on which a step takes 26, and a part as long as its tokens and its run cost."""
    engine = Engine.load(export_of(config, max_memory=2000)[1], slots=2, threads=1)
    scheduler, now = Scheduler(engine), [0.0]
    monkeypatch.setattr("export.serving.scheduler.time.perf_counter", lambda: now[0])
    feed, step = engine._graphs.call, engine.step

    def slow_call(method, *arguments, **named):
        if method.__name__ == "feed":
            now[0] += a_run + a_token * len(arguments[2])
        return feed(method, *arguments, **named)

    def slow_step(tokens):
        now[0] += 26
        return step(tokens)

    monkeypatch.setattr(engine._graphs, "call", slow_call)
    monkeypatch.setattr(engine, "step", slow_step)
    text = scheduler.submit(engine.open(), "a", 1000)
    scheduler.advance()
    long = scheduler.submit(engine.open(), "words " * 20 * most)
    parts = []
    while not long.ended:
        found = {progress.task: len(progress.tokens) for progress in scheduler.advance()}
        assert found.get(text, 1) == 1
        parts.append(found[long])
    settled = parts[len(parts) // 2 : -1]
    assert least <= min(settled, default=most) <= max(settled, default=most) <= most


def test_as_many_are_active_as_there_are_slots_and_the_others_wait(scheduler):
    tasks = [scheduler.submit(scheduler.engine.open(), "a", 3) for _ in range(5)]
    scheduler.advance()
    assert (scheduler.active, scheduler.waiting) == (2, 3)
    scheduler.cancel(tasks[0])
    scheduler.cancel(tasks[3])
    scheduler.advance()
    assert (scheduler.active, scheduler.waiting) == (2, 1)
    ended = [progress.task for progress in run(scheduler) if progress.ended]
    assert ended == [tasks[1], tasks[2], tasks[4]]


def test_what_goes_wrong_with_one_ends_that_one(scheduler):
    engine = scheduler.engine
    closed, other = engine.open(), engine.open()
    first, second = scheduler.submit(closed, "a", 9), scheduler.submit(other, "a", 9)
    for _ in range(3):
        scheduler.advance()
    engine.close(closed)
    found = run(scheduler)
    errors = [progress for progress in found if progress.error]
    assert [progress.task for progress in errors] == [first]
    assert "there is no sequence" in str(errors[0].error)
    assert first.ended
    assert [progress.task for progress in found if progress.ended] == [second]


def test_wrong_requests_are_refused_at_once(scheduler):
    number = scheduler.engine.open()
    with pytest.raises(InputError, match="the prompt is empty; it needs at least one token"):
        scheduler.submit(number, "", 3)
    with pytest.raises(InputError, match=r"the prompt has shape \(1, 1\); it must be ids"):
        scheduler.submit(number, [[1]], 3)
    with pytest.raises(InputError, match="token ids run from 99 to 99"):
        scheduler.submit(number, [99], 3)
    with pytest.raises(InputError, match="there is no sequence 77"):
        scheduler.submit(77, "a", 3)
    with pytest.raises(ConfigError, match="temperature is -1"):
        scheduler.submit(number, "a", 3, temperature=-1)
    with pytest.raises(ConfigError, match="n is -1"):
        scheduler.submit(number, "a", -1)
    with pytest.raises(ConfigError, match="stop is 'a'"):
        scheduler.submit(number, "a", 3, stop="a")
    scheduler.submit(number, "a", 3)
    with pytest.raises(InputError, match=f"sequence {number} has a task; wait until it has ended, or fork"):
        scheduler.submit(number, "b", 3)
    with pytest.raises(ConfigError, match="segment is 0"):
        Scheduler(scheduler.engine, segment=0)
    with pytest.raises(ConfigError, match="stall is 0; it must be a number above 0"):
        Scheduler(scheduler.engine, stall=0)


def test_ids_are_fed_as_they_are(scheduler):
    number = scheduler.engine.open()
    scheduler.submit(number, np.array([3, 4, 5, 6]))
    found = run(scheduler)
    assert np.concatenate([progress.tokens for progress in found]).tolist() == [3, 4, 5, 6]
    assert found[-1].ended == "length"
    assert scheduler.advance() == []
