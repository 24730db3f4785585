"""Choosing threads and precision: the decision, from given times; and that measuring leaves no trace."""

import copy
import json
from dataclasses import asdict

import pytest
import torch

from sharnn_py import PAPER, SHARNN, Baseline, BaselineConfig, Config, ConfigError
from sharnn_py.fast import choice, choose
from sharnn_py.model import Block


@pytest.fixture
def model():
    return SHARNN(Config(vocab=11, emb=8, hidden=24, layers=2, max_memory=6, dropout_hidden=0.1, semantics=PAPER))


def decided(model, monkeypatch, milliseconds, **options):
    """What is chosen where each way takes so many milliseconds."""
    monkeypatch.setattr(choice._Trial, "seconds", lambda self, steps, *way: milliseconds[way] / 1000)
    return choose(model, 4, 32, threads=(1, 2), seconds=60.0, **options)


TIMES = {("float32", 1): 100.0, ("float32", 2): 80.0, ("bf16", 1): 70.0, ("bf16", 2): 61.0}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("bf16", 2)),
        ({("bf16", 2): 75.0, ("bf16", 1): 74.0}, ("float32", 2)),  # not by a tenth
        ({("bf16", 2): 69.0}, ("bf16", 1)),  # not worth a second thread
        ({("bf16", 2): 400.0, ("float32", 2): 400.0}, ("bf16", 1)),
        ({("bf16", 2): 400.0, ("bf16", 1): 300.0, ("float32", 2): 1000.0}, ("float32", 1)),
    ],
)
def test_the_fastest_is_chosen(model, monkeypatch, changed, expected):
    found = decided(model, monkeypatch, TIMES | changed)
    assert (found.precision, found.threads) == expected


def test_float32_can_be_forced(model, monkeypatch):
    found = decided(model, monkeypatch, TIMES, precisions=("float32",))
    assert (found.precision, found.threads) == ("float32", 2)
    assert found.sentence == "float32 on 2 threads: 80 ms for 32 steps"


def test_the_sentence_tells_what_was_measured(model, monkeypatch):
    assert decided(model, monkeypatch, TIMES).sentence == "bf16 on 2 threads: 61 ms for 32 steps; float32 80 ms"
    slower = TIMES | {("float32", 2): 1500.0}
    assert decided(model, monkeypatch, slower).sentence == (
        "bf16 on 2 threads: 61 ms for 32 steps; float32 on 1 thread 100 ms"
    )


def test_what_takes_too_long_is_timed_once_and_in_short_segments(model, monkeypatch):
    calls = []

    def seconds(self, steps, *way):
        calls.append((steps, *way))
        return steps * (10.0 if way[1] == 2 else 0.02)

    monkeypatch.setattr(choice._Trial, "seconds", seconds)
    found = choose(model, 4, 1000, threads=(1, 2), seconds=4.0)
    assert found.steps == choice.LEAST
    assert [call[2] for call in calls].count(2) == 4  # of each precision, to warm up and once
    monkeypatch.setattr(choice._Trial, "seconds", lambda self, steps, *way: steps * 1e-6)
    assert choose(model, 4, 1000, threads=(1, 2)).steps == 1000


@pytest.mark.slow
def test_measuring_leaves_everything_as_it_was(model):
    model.eval()
    before = copy.deepcopy(model.state_dict())
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    found = choose(model, 2, 3, threads=(1, 2), seconds=0.1)
    assert {(t.precision, t.threads) for t in found.timings} == set(TIMES)
    assert all(t.seconds > 0 for t in found.timings)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert not model.training
    assert all(type(block) is Block for block in model.blocks)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_threads_are_restored_after_an_error(model, monkeypatch):
    def broken(self, steps, *way):
        torch.set_num_threads(2)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(choice._Trial, "seconds", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        choose(model, 2, 3, threads=(1, 2))
    assert torch.get_num_threads() == 1


def test_a_choice_can_be_kept(model, monkeypatch):
    found = decided(model, monkeypatch, TIMES)
    kept = json.loads(json.dumps(asdict(found)))
    assert (kept["precision"], kept["threads"], kept["steps"]) == ("bf16", 2, 32)
    assert len(kept["timings"]) == 4


@pytest.mark.parametrize(
    ("batch", "steps", "threads", "named"), [(0, 3, (1,), "batch"), (2, 0, (1,), "steps"), (2, 3, (0,), "threads")]
)
def test_bad_sizes(model, batch, steps, threads, named):
    with pytest.raises(ConfigError, match=f"{named} is 0"):
        choose(model, batch, steps, threads=threads)


def test_the_thread_counts_that_are_tried():
    expected = {1: [1], 2: [1, 2], 3: [1, 2, 3], 8: [1, 2, 4, 8], 12: [1, 2, 4, 8, 12]}
    assert {most: list(choice._powers_of_two(most)) for most in expected} == expected


def test_a_baseline_is_timed_too():
    found = choose(Baseline(BaselineConfig(vocab=11, emb=8, hidden=8)), 2, 3, threads=(1,), seconds=0.1)
    assert {timing.precision for timing in found.timings} == {"float32", "bf16"}
